"""For all tests: signals as a shell in the foreground leaves them."""

import signal

# A shell starts background jobs with SIGINT ignored, and ignored it would stay in every program that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
