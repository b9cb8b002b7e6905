# What shtab's script does not know: exitpin's names, and commands that exitpin runs.

# The word before the cursor, without the option that it belongs to.
function _exitpin_word
  string replace --regex -- '^--[^=]*=' '' (commandline -ct)
end

# _exitpin_known KIND: names of that kind, each with what it is.
function _exitpin_known
  set -l program exitpin
  command -q exitpin; or set program $_exitpin_program
  set -l word (_exitpin_word)
  $program __names $argv[1] "$word" (commandline -opc) (commandline -ct) 2>/dev/null
end
function _exitpin_exits; _exitpin_known exits; end
function _exitpin_exit; _exitpin_known exit; end
function _exitpin_labs; _exitpin_known labs; end
function _exitpin_tools; _exitpin_known tools; end
function _exitpin_files; __fish_complete_path (_exitpin_word); end
function _exitpin_tools_or_files; _exitpin_tools; _exitpin_files; end
function _exitpin_profiles_or_files; printf '%s\n' plain hostile; _exitpin_files; end
function _exitpin_commands; __fish_complete_command; end
function _exitpin_flags; string split ' ' -- $_exitpin_flags; end
function _exitpin_allowed; printf '%s\n' listen unix: pipe: write:; end
function _exitpin_statuses # a list with commas
  set -l before (string match --regex -- '.*,' (_exitpin_word))
  for status_ in (string split ' ' -- $_exitpin_statuses)
    echo "$before$status_"
  end
end

# The words, up to the cursor, of a command that exitpin is to run; none if none has begun. $_exitpin_holding: verbs
# with such a command; $_exitpin_valued: VERB:OPTION that take a value.
function _exitpin_command_words
  set -l words (commandline -opc) (commandline -ct)
  set -l verb $words[2]
  set -l i 3
  if test "$verb" = lab
    set verb lab_$words[3]
    set i 4
  end
  contains -- "$verb" (string split ' ' -- $_exitpin_holding); or return
  while test $i -le (count $words)
    if test "$words[$i]" = --
      set i (math $i + 1)
      break
    else if contains -- "$verb:$words[$i]" (string split ' ' -- $_exitpin_valued)
      set i (math $i + 2)
    else if string match -q -- '-*' $words[$i]
      set i (math $i + 1)
    else
      break
    end
  end
  test $i -le (count $words); and printf '%s\n' "$verb" $words[$i..]
end

function _exitpin_in_command
  test (count (_exitpin_command_words)) -gt 1
end

function _exitpin_command
  set -l words (_exitpin_command_words)
  if test "$words[1]" = sh
    __fish_complete_path (commandline -ct)
  else
    complete -C (string join ' ' -- (string escape -- $words[2..-2]) $words[-1])
  end
end
