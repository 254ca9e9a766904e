/**
 * Where inputs may do what they like: namespaces of their own for processes, mounts and network, and a disk that takes
 * nothing but what lies in the run's directory.
 */

/** $1 is the directory, $2 the executable, and the rest a program that is run inside. What lies in the directory itself is seen outside. */
const script = `
set -eu
directory=$1
executable=$2
shift 2
run=$directory/run
mount --bind "$directory" "$directory"
mkdir "$run"
mount -t tmpfs -o size=256m tmpfs "$run"
mkdir "$run/plugins"
for name in flannel bridge host-local loopback portmap; do ln -s "$executable" "$run/plugins/$name"; done
printf 'nameserver 10.0.0.1\\nsearch a b\\n' >"$run/resolv.conf"
: >"$run/pod"
unshare --net="$run/pod" true
cut -d' ' -f2 /proc/self/mounts | sort -u | while read -r place; do
  case $place in
  "$directory" | "$run" | "$run"/* | /proc | /proc/* | /sys | /sys/*) ;;
  *) mount -o remount,bind,ro "$place" 2>/dev/null || true ;;
  esac
done
exec "$@"
`;

/** The words that run a program in such a place. */
export function sandboxWords(directory: string, executable: string, program: readonly string[]): readonly string[] {
  const namespaces = ["--mount", "--propagation=private", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
  return ["unshare", ...namespaces, "sh", "-c", script, "sh", directory, executable, ...program];
}
