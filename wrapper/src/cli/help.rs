//! What stands around the list of options in the help.

/// How it is called.
pub const USAGE: &str = "vrfrun [OPTIONS] VRF [--] COMMAND [ARG]...\n       vrfrun [OPTIONS] --explain [-j] VRF\n       \
                     vrfrun [OPTIONS] each [-j] -- COMMAND [ARG]...\n       \
                     vrfrun oci-agent [--socket PATH] [--profile [BASE]]";

/// What is to be known besides.
pub const AFTER_HELP: &str = "\
Options go before VRF. A COMMAND that begins with '-' needs '--' before it.
VRF 'default' means: no VRF.

Exit status: 125 vrfrun failed and ran nothing, 126 COMMAND cannot be run, 127 COMMAND was not found; otherwise
COMMAND's own.

Examples:
  vrfrun blue curl https://example.com
  vrfrun --explain blue
  vrfrun each -- ping -c1 192.0.2.1
  vrfrun -v -m preload blue ssh router1";
