#!/bin/sh
# Installs the Debian packages that the tests, the private network and the demo need, and nothing that is there already.
# Called by the Makefile before everything else; `sudo tests/setup-system.sh` does the same by hand. PYTHON names the
# interpreter (default python3). Debian starts a tor on the public network as soon as it is installed: here its units
# are masked and its start is refused first.
set -eu
PYTHON=${PYTHON:-python3}
PATH=$PATH:/usr/sbin:/sbin
units=/etc/systemd/system
policy=/usr/sbin/policy-rc.d
saved=$policy.before-exitpin

stop() {
	printf 'setup: %s\n' "$*" >&2
	exit 1
}

# has NAME: a command, or a file if it starts with a slash.
has() {
	case $1 in
	/*) [ -e "$1" ] ;;
	*) command -v "$1" >/dev/null 2>&1 ;;
	esac
}

# What is needed, and the package that has it.
missing_packages() {
	while read -r need package; do
		has "$need" || printf '%s ' "$package"
	done <<-END
		tor tor
		torsocks torsocks
		curl curl
		wget wget
		dig bind9-dnsutils
		openssl openssl
		jq jq
		ssh openssh-client
		git git
		nc.openbsd netcat-openbsd
		nmap nmap
		perl perl
		node nodejs
		zsh zsh
		fish fish
		mandoc mandoc
		man man-db
		gcc gcc
		musl-gcc musl-tools
		/usr/include/stdio.h libc6-dev
		nft nftables
		ip iproute2
		unshare util-linux
		ps procps
		nm binutils
	END
	missing_browser
	missing_python_packages
}

# What opens the HTML report in a test. Only Debian has it as a package (Ubuntu's is a snap): elsewhere, unless both
# commands are there, that test is left out, and says so.
missing_browser() {
	grep -qx 'ID=debian' /etc/os-release 2>/dev/null || return 0
	has chromium || echo chromium
	has chromedriver || echo chromium-driver
}

# venv (with ensurepip) and headers of the interpreter itself; a Python that is not Debian's brings its own.
missing_python_packages() {
	"$PYTHON" -ES - <<-'END'
		import os, sys, sysconfig
		version = "python%d.%d" % sys.version_info[:2]
		default = os.path.basename(os.path.realpath("/usr/bin/python3"))
		name = "python3" if version == default else version
		if not os.path.isdir(os.path.join(sysconfig.get_path("stdlib"), "ensurepip")):
		    print(name + "-venv")
		if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
		    print(name + "-dev")
	END
}

check_python() {
	has "$PYTHON" || stop "there is no $PYTHON: install python3, or name another: PYTHON=python3.12"
	"$PYTHON" -ES -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
		stop "$PYTHON is too old: exitpin needs Python 3.11 or newer; name one: PYTHON=python3.12"
}

# Before tor is installed: nothing may start it, now or at the next boot. What the owner of the machine put there stays.
keep_tor_down() {
	mkdir -p "$units"
	for unit in tor.service tor@default.service; do
		[ -e "$units/$unit" ] || [ -L "$units/$unit" ] || ln -s /dev/null "$units/$unit"
	done
	trap give_policy_back EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	# Saved already: an earlier set-up was killed, and the policy that stands there is ours.
	if [ ! -e "$saved" ] && { [ -e "$policy" ] || [ -L "$policy" ]; } && ! grep -q "^# exitpin" "$policy"; then
		mv "$policy" "$saved"
	fi
	cat >"$policy" <<-END
		#!/bin/sh
		# exitpin: no tor while packages are installed; this file goes when its set-up ends.
		for word; do
			case \$word in tor | tor.service | tor@*) exit 101 ;; esac
		done
		[ ! -x $saved ] || exec $saved "\$@"
	END
	chmod 755 "$policy"
}

give_policy_back() {
	rm -f "$policy"
	if [ -e "$saved" ] || [ -L "$saved" ]; then mv "$saved" "$policy"; fi
}

install_packages() {
	export DEBIAN_FRONTEND=noninteractive
	set -- -y --no-install-recommends -o DPkg::Lock::Timeout=300 install "$@"
	apt-get -qq -s "$@" >/dev/null 2>&1 || apt-get -q update
	apt-get -q "$@" || { apt-get -q update && apt-get -q "$@"; }
}

check_python
packages=$(missing_packages | tr '\n' ' ')
[ -n "$packages" ] || exit 0

has apt-get || stop "this is no Debian or Ubuntu; install by hand what these packages hold: $packages"
if [ "$(id -u)" -ne 0 ]; then
	sudo -n true 2>/dev/null || stop "these packages are missing: $packages
setup: install them (tor's service stays off) with:

    sudo PYTHON=$PYTHON sh $(cd "$(dirname "$0")" && pwd)/setup-system.sh
"
	exec sudo -n env PYTHON="$PYTHON" ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} \
		sh "$0"
fi
printf 'setup: installing %s\n' "$packages" >&2
case " $packages" in *" tor "*) keep_tor_down ;; esac
# shellcheck disable=SC2086 # a list of words
install_packages $packages
left=$(missing_packages)
[ -z "$left" ] || stop "installed, and still not found: $left"
