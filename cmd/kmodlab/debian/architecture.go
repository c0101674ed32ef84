package debian

// An Architecture is one of Debian's (dpkg-architecture(1)).
type Architecture string

// The architectures of the bench's machines.
const (
	AMD64 Architecture = "amd64"
	ARM64 Architecture = "arm64"
	ARMHF Architecture = "armhf"
)

// metaPackage depends on Debian's newest kernel for the architecture. That of
// armhf is for ARMv7 with all kinds of boards (multi-platform).
func (a Architecture) metaPackage() string {
	if a == ARMHF {
		return "linux-image-armmp"
	}
	return "linux-image-" + string(a)
}

// packages names packages of the architecture as dpkg does beside those of
// another; the host's own have no suffix.
func (a Architecture) packages(names []string) []string {
	if a == AMD64 {
		return names
	}
	var all []string
	for _, name := range names {
		all = append(all, name+":"+string(a))
	}
	return all
}

// GoEnv is the environment of a Go compiler for the architecture. Debian's
// armhf begins at ARMv7.
func (a Architecture) GoEnv() []string {
	switch a {
	case ARMHF:
		return []string{"GOARCH=arm", "GOARM=7"}
	default:
		return []string{"GOARCH=" + string(a)}
	}
}
