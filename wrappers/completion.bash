# What shtab's script does not know: exitpin's names, commands that exitpin runs, and words that bash has cut at = : @.

# _exitpin_known KIND WORD: names of that kind that begin as the word does. They are compared by exitpin, and never
# expanded: `compgen -W` would run what stands in $( ).
_exitpin_known() {
  local line program=exitpin
  type -P exitpin >/dev/null || program=$_exitpin_program
  while IFS= read -r line; do
    printf '%s\n' "${line%%$'\t'*}"
  done < <("$program" __names "$1" "$2" "${COMP_WORDS[@]}" 2>/dev/null)
}
_exitpin_exits() { _exitpin_known exits "$1"; }
_exitpin_exit() { _exitpin_known exit "$1"; }
_exitpin_labs() { _exitpin_known labs "$1"; }
_exitpin_tools() { _exitpin_known tools "$1"; }
_exitpin_tools_or_files() { _exitpin_known tools "$1"; compgen -f -- "$1"; }
_exitpin_profiles_or_files() { compgen -W "plain hostile" -- "$1"; compgen -f -- "$1"; }
_exitpin_files() { compgen -f -- "$1"; }
_exitpin_commands() { compgen -c -- "$1"; }
_exitpin_flags() { compgen -W "$_exitpin_flags" -- "$1"; }
_exitpin_allowed() { compgen -W "listen unix: pipe: write:" -- "$1"; }
_exitpin_statuses() { # a list with commas
  local before="" status
  [[ $1 == *,* ]] && before="${1%,*},"
  for status in $_exitpin_statuses; do
    [[ $before$status == "$1"* ]] && printf '%s\n' "$before$status"
  done
}

# Sets _exitpin_at to the place among the words given, up to the cursor, where a command begins that exitpin is to run;
# to 0 if none has begun. $_exitpin_holding: verbs with such a command; $_exitpin_valued: VERB:OPTION that take a value.
_exitpin_find_command() {
  local verb=$2 i=2 word
  [[ $verb == lab ]] && verb="lab_${3-}" i=3
  _exitpin_at=0
  [[ " $_exitpin_holding " == *" $verb "* ]] || return 0
  for ((i++; i <= $#; i++)); do
    word=${!i}
    if [[ $word == -- ]]; then
      _exitpin_at=$i
      ((i < $#)) || _exitpin_at=0
      return 0
    elif [[ $word == -* ]]; then
      [[ " $_exitpin_valued " == *" $verb:$word "* ]] && ((i++))
    else
      _exitpin_at=$((i - 1))
      return 0
    fi
  done
}

_exitpin() {
  local line=${COMP_LINE:0:COMP_POINT} words=() starts=() word i=0 piece=$2 _exitpin_at=0 # $2: what bash will replace
  # Words as a shell sees them: bash has cut them, and what it has cut off stands without a space before it.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if ((i == 0)) || [[ $line == [[:space:]]* ]]; then
      line=${line#"${line%%[![:space:]]*}"}
      words+=("") starts+=("$i")
    fi
    ((i == COMP_CWORD)) && word=$line
    words[-1]+=$word
    line=${line#"$word"}
  done
  local last=${words[-1]}
  COMPREPLY=()
  local whole=("${words[@]}")
  words=() # --option=value: two words
  local begin=("${starts[@]}")
  starts=()
  for i in "${!whole[@]}"; do
    words+=("${whole[i]}") starts+=("${begin[i]}")
    if [[ ${whole[i]} == --[!=]*=* ]]; then
      words[-1]=${whole[i]%%=*}
      words+=("${whole[i]#*=}") starts+=("${begin[i]}")
    fi
  done
  _exitpin_find_command "${words[@]}"
  if ((_exitpin_at > 0)); then
    _exitpin_command "${starts[_exitpin_at]}" "${words[1]}" "$last"
    return 0
  fi
  last=${words[-1]}
  local COMP_CWORD=$((${#words[@]} - 1)) COMP_WORDS=("${words[@]}")
  _shtab_exitpin
  local cut=${last%"$piece"}
  COMPREPLY=("${COMPREPLY[@]#"$cut"}")
  [[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *: ]] || compopt -o nospace
  [[ $last != @* ]] || compopt +o filenames # bash would quote the @
}

# _exitpin_command START VERB WORD: complete the command that begins at a word of bash's own.
_exitpin_command() {
  if [[ $2 == sh ]]; then
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$3")
  elif declare -F _comp_command_offset >/dev/null; then
    _comp_command_offset "$1"
  elif declare -F _command_offset >/dev/null; then
    _command_offset "$1"
  elif ((COMP_CWORD == $1)); then
    mapfile -t COMPREPLY < <(compgen -c -- "$3")
  else
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$3")
  fi
}
