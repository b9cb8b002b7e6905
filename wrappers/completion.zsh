# What shtab's script does not know: exitpin's names.

# _exitpin_known KIND WHAT [BEFORE]: names of that kind, each with what it is; BEFORE: what has been cut off the word.
_exitpin_known() {
  local program=exitpin
  (( $+commands[exitpin] )) || program=$_exitpin_program
  local -a names=("${(@f)$($program __names $1 "$3$PREFIX" "${words[@]}" 2>/dev/null)}")
  names=("${(@)names#"$3"}")
  names=(${${names/$'\t'/:}:#})
  _describe "$2" names
}
_exitpin_exits() { # a list with commas
  local before=${(M)PREFIX##*,}
  compset -P '*,'
  compset -S ',*'
  _exitpin_known exits exit $before
}
# The command that exitpin is to run, as if it were typed by itself.
_exitpin_command() {
  [[ $words[1] != -- ]] || { shift words; (( CURRENT-- )) }
  _normal
}
_exitpin_exit() { _exitpin_known exit exit }
_exitpin_labs() { _exitpin_known labs lab }
_exitpin_tools() { _exitpin_known tools tool }
_exitpin_tools_or_files() { _alternative 'tools:tool:_exitpin_tools' 'files:file:_files' }
_exitpin_profiles_or_files() { _alternative 'profiles:profile:(plain hostile)' 'files:file:_files' }
_exitpin_files() { _files }
_exitpin_commands() { _command_names -e }
_exitpin_flags() { compadd -- ${=_exitpin_flags} }
_exitpin_allowed() { compadd -- listen; compadd -S '' -- unix: pipe: write: }
_exitpin_statuses() {
  compset -P '*,'
  compadd -S '' -- ${=_exitpin_statuses}
}
