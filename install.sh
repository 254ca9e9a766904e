#!/bin/sh
# Installs tartan on a node that is not set up by the DaemonSet: the executable and its plugins, the CNI configuration, and
# flanneld as a systemd service. Safe to repeat; with another executable it upgrades in place. install.sh --help says more.
set -eu

bin_dir=/opt/cni/bin
net_dir=/etc/cni/net.d
settings_dir=/etc/tartan
unit=/etc/systemd/system/flanneld.service
daemon=/usr/local/sbin/flanneld
command=/usr/local/bin/tartan
default_leases=/var/lib/tartan/leases

usage() {
	cat <<'END'
Usage: install.sh [OPTION]...
       install.sh --uninstall [--purge]

  --executable FILE    what is installed (default: tartan or dist/tartan beside this script)
  --lease-dir DIR      leases come from this directory, for nodes that are one machine (default: /var/lib/tartan/leases)
  --kubeconfig FILE    leases come from Kubernetes, with this kubeconfig
  --node-name NAME     the node's name in Kubernetes (default: the host name, in lower case)
  --network CIDR       the cluster's network, where there is no configuration yet (default: 10.244.0.0/16)
  --iface NAME         the interface to the other nodes (default: that of the default route)
  --public-ip ADDRESS  the address that other nodes send to (default: the interface's)
  --no-ip-masq         do not masquerade what pods send out of the cluster; --ip-masq does so again
  --healthz-port PORT  where /healthz and /readyz are served, on 127.0.0.1 (default: 8081; 0 for none)
  --replace NAMES      plugins to take over from other packages: names with commas between them, or all
  --conflist FILE      a CNI configuration list of your own
  --no-start           do not start the service
  --uninstall          take out all of it again; the lease directory stays
  --purge              with --uninstall: the directory /var/lib/tartan goes as well, and in it the leases of all nodes that
                       share it, running ones too
  --help               print this

Settings are kept in /etc/tartan/flanneld.env. An option changes its own and leaves all others, those added by hand as well;
another lease source takes the place of the former with all of its settings.
END
}

fail() {
	echo "install.sh: $*" >&2
	exit 1
}

wrong_usage() {
	echo "install.sh: $*" >&2
	echo "install.sh --help lists the options" >&2
	exit 2
}

# What is asked for: empty where nothing was said.
executable='' lease_dir='' kubeconfig='' node_name='' network='' iface='' public_ip='' healthz_port='' replace='' conflist=''
ip_masq='' start=yes uninstall='' purge=''

read_options() {
	while [ $# -gt 0 ]; do
		case $1 in
		--*=*)
			option=${1%%=*}
			value=${1#*=}
			shift
			set -- "$option" "$value" "$@"
			;;
		esac
		case $1 in
		--ip-masq) ip_masq=true ;;
		--no-ip-masq) ip_masq=false ;;
		--no-start) start='' ;;
		--uninstall) uninstall=yes ;;
		--purge) purge=yes ;;
		--help | -h)
			usage
			exit 0
			;;
		--executable | --lease-dir | --kubeconfig | --node-name | --network | --iface | --public-ip | --healthz-port | --replace | --conflist)
			if [ $# -lt 2 ] || [ -z "$2" ]; then wrong_usage "option \"$1\" needs a value"; fi
			# One line each, in a file that systemd reads.
			case $2 in *[!A-Za-z0-9/._:,@%+-]*) wrong_usage "option \"$1\" has a value with unusual characters: \"$2\"" ;; esac
			set_option "$1" "$2"
			shift
			;;
		*) wrong_usage "unknown option \"$1\"" ;;
		esac
		shift
	done
	if [ -n "$lease_dir" ] && [ -n "$kubeconfig" ]; then wrong_usage "options \"--lease-dir\" and \"--kubeconfig\" exclude each other"; fi
	if [ -n "$purge" ] && [ -z "$uninstall" ]; then wrong_usage "option \"--purge\" goes with \"--uninstall\" only"; fi
}

set_option() {
	case $1 in
	--executable) executable=$2 ;;
	--replace) replace=$2 ;;
	--conflist) conflist=$2 ;;
	--network) network=$2 ;;
	--lease-dir) lease_dir=$2 ;;
	--kubeconfig) kubeconfig=$2 ;;
	--node-name) node_name=$2 ;;
	--iface) iface=$2 ;;
	--public-ip) public_ip=$2 ;;
	--healthz-port) healthz_port=$2 ;;
	esac
}

# systemd as the machine's first process, not only its tools.
systemd_runs() { [ -d /run/systemd/system ]; }

check_machine() {
	[ "$(id -u)" = 0 ] || fail "only root can install"
	[ -e /proc/self/maps ] || fail "/proc is not mounted"
	command -v systemctl >/dev/null || fail "there is no systemctl: the service needs systemd"
}

check_executable() {
	if [ -z "$executable" ]; then
		here=$(dirname "$0")
		for file in "$here/tartan" "$here/dist/tartan"; do
			if [ -f "$file" ]; then executable=$file; fi
		done
		[ -n "$executable" ] || fail "there is no executable beside $0 (npm run build makes dist/tartan); give --executable FILE"
	fi
	[ -f "$executable" ] || fail "there is no file $executable"
	# A relative name would be looked up in PATH.
	executable=$(cd "$(dirname "$executable")" && pwd)/$(basename "$executable")
	"$executable" version >/dev/null ||
		fail "$executable does not run here: it needs glibc 2.17 or newer with its loader, and memory that may be writable and executable"
}

# Pods are started by the runtime, under the limits of its service.
check_runtimes() {
	systemd_runs || return 0
	for service in containerd crio; do
		if [ "$(systemctl show --property=MemoryDenyWriteExecute --value "$service.service" 2>/dev/null)" = yes ]; then
			fail "$service.service has MemoryDenyWriteExecute=yes, under which the plugins cannot run"
		fi
	done
}

# Puts what comes on standard input in place of a file, at once, and notes that something changed; not when it is the same.
put() {
	mkdir -p "$(dirname "$1")"
	cat >"$1.new"
	chmod 0644 "$1.new"
	if cmp -s "$1.new" "$1"; then
		rm "$1.new"
	else
		mv -f "$1.new" "$1"
		changed=yes
	fi
}

network_config() {
	printf '{ "Network": "%s", "Backend": { "Type": "vxlan" } }\n' "${network:-10.244.0.0/16}"
}

# As the kubelet names its node.
default_node_name() { uname -n | tr '[:upper:]' '[:lower:]'; }

# The value of a setting as systemd reads it: of several the last, without quotes round it.
setting() {
	sed -n "s/^$1=//p" "$work/flanneld.env" | sed -n '$p' | sed "s/^\"\(.*\)\"\$/\1/; s/^'\(.*\)'\$/\1/"
}

# Gives a setting its value, in the line that it has or in a new one. No value has a character that sed would take otherwise.
set_setting() {
	if grep -q "^$1=" "$work/flanneld.env"; then
		sed -i "s|^$1=.*|$1=$2|" "$work/flanneld.env"
	else
		echo "$1=$2" >>"$work/flanneld.env"
	fi
}

default_setting() {
	if [ -z "$(setting "$1")" ]; then set_setting "$1" "$2"; fi
}

remove_settings() {
	for key in "$@"; do sed -i "/^$key=/d" "$work/flanneld.env"; done
}

# The settings as they shall be, in $work: those that are there, with what the options change.
prepare_settings() {
	if [ -e "$settings_dir/flanneld.env" ]; then
		cat "$settings_dir/flanneld.env" >"$work/flanneld.env"
		# A last line without its end would run into the next one.
		if [ -n "$(tail -c 1 "$work/flanneld.env")" ]; then echo >>"$work/flanneld.env"; fi
	else
		echo "# Written by install.sh. Each is a flag of flanneld; flanneld --help lists them all." >"$work/flanneld.env"
	fi
	prepare_source
	if [ -n "$iface" ]; then set_setting FLANNELD_IFACE "$iface"; fi
	if [ -n "$public_ip" ]; then set_setting FLANNELD_PUBLIC_IP "$public_ip"; fi
	if [ -n "$ip_masq" ]; then set_setting FLANNELD_IP_MASQ "$ip_masq"; fi
	if [ -n "$healthz_port" ]; then set_setting FLANNELD_HEALTHZ_PORT "$healthz_port"; fi
	if [ ! -e "$settings_dir/flanneld.env" ]; then
		default_setting FLANNELD_IP_MASQ true
		default_setting FLANNELD_HEALTHZ_IP 127.0.0.1
		default_setting FLANNELD_HEALTHZ_PORT 8081
	fi
}

prepare_source() {
	if [ -n "$kubeconfig" ]; then
		remove_settings FLANNELD_LEASE_DIR
		set_setting FLANNELD_KUBE_SUBNET_MGR true
		set_setting FLANNELD_KUBECONFIG_FILE "$kubeconfig"
	elif [ -n "$lease_dir" ]; then
		remove_settings FLANNELD_KUBE_SUBNET_MGR FLANNELD_KUBECONFIG_FILE FLANNELD_KUBE_API_URL FLANNELD_KUBE_ANNOTATION_PREFIX \
			FLANNELD_NET_CONFIG_PATH FLANNELD_SET_NODE_NETWORK_UNAVAILABLE NODE_NAME POD_NAME POD_NAMESPACE
		set_setting FLANNELD_LEASE_DIR "$lease_dir"
	else
		case $(setting FLANNELD_KUBE_SUBNET_MGR) in
		'' | false | 0) default_setting FLANNELD_LEASE_DIR "$default_leases" ;;
		esac
	fi
	lease_dir=$(setting FLANNELD_LEASE_DIR)
	if [ -z "$lease_dir" ]; then
		default_setting FLANNELD_NET_CONFIG_PATH "$settings_dir/net-conf.json"
		if [ -n "$node_name" ]; then set_setting NODE_NAME "$node_name"; fi
		if [ -z "$(setting POD_NAME)" ]; then default_setting NODE_NAME "$(default_node_name)"; fi
	elif [ -n "$node_name" ]; then
		fail "--node-name goes with --kubeconfig: the leases come from $lease_dir"
	fi
}

# The daemon would end again and again with what it cannot take: it says so before anything is changed.
check_settings() {
	network_config >"$work/net-conf.json"
	set --
	while IFS= read -r line; do
		case $line in
		[A-Z]*=*) set -- "$@" "${line%%=*}=$(setting "${line%%=*}")" ;;
		esac
	done <"$work/flanneld.env"
	env -i "$@" "$executable" flanneld check-settings "$work/net-conf.json" ||
		fail "the daemon would not start with these settings: nothing was changed"
	for key in FLANNELD_LEASE_DIR FLANNELD_KUBECONFIG_FILE; do
		case $(setting "$key") in
		/tmp/* | /var/tmp/*) fail "$key is \"$(setting "$key")\": the service has a /tmp and a /var/tmp of its own" ;;
		'' | /*) ;;
		*) fail "$key is \"$(setting "$key")\", wanted a path that begins with /" ;;
		esac
	done
	file=$(setting FLANNELD_KUBECONFIG_FILE)
	if [ -n "$file" ]; then check_readable "$file"; fi
}

# root without the capability to read what is another user's: so runs the service.
check_readable() {
	[ -f "$1" ] || fail "there is no file $1"
	command -v setpriv >/dev/null || return 0
	setpriv --inh-caps=-all --bounding-set=-all cat "$1" >/dev/null 2>&1 ||
		fail "the service cannot read $1: it runs as root without the right to read other users' files (chown root, or a copy for it)"
}

install_settings() {
	put "$settings_dir/flanneld.env" <"$work/flanneld.env"
	if [ -n "$lease_dir" ]; then
		file=$lease_dir/config
	else
		file=$(setting FLANNELD_NET_CONFIG_PATH)
	fi
	# The nodes share the first one: whoever is there first writes it.
	if [ ! -e "$file" ]; then
		put "$file" <"$work/net-conf.json"
	elif [ -n "$network" ]; then
		echo "install.sh: $file is there already and stays as it is"
	fi
}

conflist() {
	cat <<'END'
{
  "name": "cbr0",
  "cniVersion": "1.0.0",
  "cniVersions": ["0.3.1", "0.4.0", "1.0.0", "1.1.0"],
  "plugins": [
    {
      "type": "flannel",
      "capabilities": {
        "portMappings": true
      },
      "delegate": {
        "hairpinMode": true,
        "isDefaultGateway": true
      }
    }
  ]
}
END
}

choose_list() {
	list=$conflist
	if [ -n "$list" ]; then return; fi
	list=$work/conflist
	conflist >"$list"
}

# What the later steps would fail at.
check_places() {
	for name in "$daemon" "$command"; do
		[ "$(readlink "$name" 2>/dev/null)" = "$bin_dir/tartan" ] && continue
		if [ -e "$name" ] || [ -L "$name" ]; then fail "$name is there and not ours"; fi
	done
	for directory in "$bin_dir" "$net_dir" "$settings_dir" "$(dirname "$unit")" "$(dirname "$daemon")" "$(dirname "$command")"; do
		while [ ! -e "$directory" ]; do directory=$(dirname "$directory"); done
		[ -d "$directory" ] || fail "$directory is no directory"
		[ -w "$directory" ] || fail "$directory cannot be written to"
	done
}

# One part of install-cni, which checks all before it changes anything.
install_part() {
	set -- install-cni --only "$1" --host-root / --bin-dir "$bin_dir" --net-dir "$net_dir" --conflist "$list"
	if [ -n "$replace" ]; then set -- "$@" --replace "$replace"; fi
	"$executable" "$@"
}

install_programs() {
	before=$(cksum "$bin_dir/tartan" 2>/dev/null) || before=''
	install_part plugins
	if [ "$(cksum "$bin_dir/tartan")" != "$before" ]; then changed=yes; fi
	for name in "$daemon" "$command"; do
		[ "$(readlink "$name" 2>/dev/null)" = "$bin_dir/tartan" ] && continue
		mkdir -p "$(dirname "$name")"
		ln -sf "$bin_dir/tartan" "$name"
	done
}

unit_text() {
	cat <<END
# Written by install.sh.
[Unit]
Description=flanneld, the flannel network of this node (tartan)
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
EnvironmentFile=$settings_dir/flanneld.env
ExecStart=$daemon
Restart=always
RestartSec=2
UMask=0022
# subnet.env, which the plugins read, outlives the daemon, as the network does.
RuntimeDirectory=flannel
RuntimeDirectoryPreserve=yes
StateDirectory=tartan

# What the daemon does is netlink: links, routes, neighbours and nf_tables rules.
CapabilityBoundingSet=CAP_NET_ADMIN
RestrictAddressFamilies=AF_NETLINK AF_INET AF_INET6 AF_UNIX
NoNewPrivileges=yes
# The rest of the file system is read-only to it.
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
# The executable compiles code as it runs: with yes it could not start.
MemoryDenyWriteExecute=no
END
	if [ -n "$lease_dir" ]; then echo "ReadWritePaths=$lease_dir"; fi
	printf '\n[Install]\nWantedBy=multi-user.target\n'
}

install_service() {
	unit_text | put "$unit"
	systemctl --quiet enable flanneld.service
	if ! systemd_runs; then
		echo "install.sh: systemd does not run here: flanneld starts with the machine"
		return
	fi
	systemctl daemon-reload
	[ -n "$start" ] || return 0
	if [ -n "$changed" ]; then
		systemctl restart flanneld.service
	else
		systemctl start flanneld.service
	fi
}

install() {
	check_machine
	check_executable
	check_runtimes
	if [ -n "$conflist" ] && [ ! -f "$conflist" ]; then fail "there is no file $conflist"; fi
	changed=''
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	check_places
	choose_list
	prepare_settings
	check_settings
	install_programs
	install_settings
	install_service
	# Last, so that no runtime finds a network that is not there.
	install_part conflist
	echo "install.sh: $("$command" version) is installed"
}

uninstall() {
	check_machine
	if [ -e "$unit" ]; then
		if systemd_runs; then systemctl --quiet stop flanneld.service; fi
		systemctl --quiet disable flanneld.service
		rm -f "$unit"
		if systemd_runs; then systemctl daemon-reload; fi
	fi
	if [ -x "$bin_dir/tartan" ]; then "$bin_dir/tartan" uninstall --bin-dir "$bin_dir" --net-dir "$net_dir"; fi
	for name in "$daemon" "$command"; do
		if [ "$(readlink "$name" 2>/dev/null)" = "$bin_dir/tartan" ]; then rm "$name"; fi
	done
	rm -f "$settings_dir/flanneld.env" "$settings_dir/net-conf.json"
	for directory in "$settings_dir" /run/flannel; do rmdir "$directory" 2>/dev/null || true; done
	if [ -n "$purge" ]; then rm -rf /var/lib/tartan; fi
	echo "install.sh: tartan is removed; the devices flannel.1 and cni0 stay until they are deleted or the machine starts anew"
}

read_options "$@"
if [ -n "$uninstall" ]; then uninstall; else install; fi
