# bash reads this in place of ~/.bashrc in `exitpin sh`: first the caller's own, then the exit goes into the prompt.
[ ! -r ~/.bashrc ] || . ~/.bashrc
PS1="($EXITPIN_EXIT_NICK) ${PS1-\\$ }"
