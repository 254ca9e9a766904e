/** What there is; printed by `tartan help`, and after an unknown command. */
export const helpText = `Usage: tartan COMMAND [OPTION]...

The flannel pod network as one executable.

Commands:
  demo       make and show a network of two nodes with pods
  nodes      list a Kubernetes cluster's nodes, and what is wrong with them
  uninstall  take out of this node what an installation has put in
  version    print version and commit
  help       print this; "tartan help COMMAND", or "tartan COMMAND --help", prints a command's options

Programs, called by these names through links or copies, or as "tartan NAME":
  flanneld   the daemon of a node
  flannel, bridge, host-local, portmap, loopback
             CNI plugins
  install-cni
             puts executable, plugins and configuration in place on a node
`;
