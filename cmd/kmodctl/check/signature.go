package check

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/kernel"
	"github.com/kmodd/kmodd/match/kofile/signature"
	"github.com/kmodd/kmodd/match/kofile/signature/trust"
)

// A strictness is what the kernel wants of signatures (module_sig_check in
// kernel/module/signing.c).
type strictness struct {
	enforced bool
	errno    syscall.Errno // what it refuses with if it is enforced
	by       string
}

func (c *checking) strictness() (s strictness, checks bool) {
	enforce, checks := line(c.sys("module/module/parameters/sig_enforce"))
	lockdown, _ := line(c.sys("kernel/security/lockdown"))
	switch {
	case enforce == "Y":
		return strictness{true, unix.EKEYREJECTED, "module.sig_enforce"}, checks
	case lockdown != "" && !strings.Contains(lockdown, "[none]"):
		return strictness{true, unix.EPERM, "lockdown " + lockdown}, true
	}
	return s, checks
}

func (c *checking) signature() (s Step) {
	defer func() { s.Name = Signature }()
	strict, checks := c.strictness()
	switch {
	case c.image == nil:
		return unknown("the file can't be read")
	case !checks:
		return fine("this kernel looks at no signatures")
	}
	sig, err := signature.Read(c.image, c.image.Size)
	const next = "sign it with a key that the kernel trusts, or boot without that"
	switch {
	case err != nil && strict.enforced:
		return refused(strict.errno, next, "its signature can't be read: %v", err)
	case err != nil:
		return unknown("its signature can't be read: %v", err)
	case sig != nil && c.Force == 0:
		return c.signedBy(sig, strict)
	case strict.enforced:
		return refused(strict.errno, next, "it is signed by nobody, and the kernel takes only what is signed by a key that it trusts (%s)", strict.by)
	}
	return fine("by nobody, which taints this kernel (E), and is not refused")
}

// signedBy is about a file that has a signature which counts.
func (c *checking) signedBy(sig *signature.Signature, strict strictness) Step {
	who := sig.Signer + " (key " + hex.EncodeToString(sig.KeyID) + ")"
	trusted, heard := c.trusts(sig)
	_, err := trust.Verify(sig, c.image, c.Certificates)
	bad := errors.Is(err, trust.ErrMismatch)
	switch {
	case bad && (strict.enforced || heard != no):
		return refused(unix.EKEYREJECTED, "build or install it again", "signed by %s, and it is not as the signer left it", who)
	case trusted && err == nil:
		return fine("signed by %s, which this kernel trusts, and as the signer left it", who)
	case trusted || heard == perhaps:
		return unknown("signed by %s; whether it is as the signer left it can't be told without that certificate (--certificate)%s", who, c.unproved(trusted))
	case heard == yes:
		return unknown("signed by %s, of which the kernel has a key%s", who, c.unproved(false))
	case strict.enforced:
		return refused(strict.errno, "sign it with a key that the kernel trusts, or boot without that",
			"signed by %s, and the kernel has no key of that name (/proc/keys), and takes only what is signed by one that it trusts (%s)", who, strict.by)
	}
	return fine("signed by %s, of whom the kernel has no key, which taints it (E), and is not refused", who)
}

func (c *checking) unproved(trusted bool) string {
	if trusted {
		return "; the key is trusted here"
	}
	return "; whether the kernel trusts this key can't be told here"
}

// A rumour is what /proc/keys knows of a signer, by name only.
type rumour int

const (
	no rumour = iota
	yes
	perhaps // the keys can't be read
)

// trusts says whether the kernel has taken a module signed by the same key, and whether it
// has a key of the signer's name.
func (c *checking) trusts(sig *signature.Signature) (bool, rumour) {
	keys, _ := os.ReadFile(c.proc("keys"))
	heard := perhaps
	for text := range strings.Lines(string(keys)) {
		if strings.Contains(text, " asymmetri ") {
			if heard == perhaps {
				heard = no
			}
			if strings.Contains(text, " "+sig.Signer+": ") {
				heard = yes
				break
			}
		}
	}
	if heard == no {
		return false, no
	}
	for name, w := range c.witnesses {
		other, err := signature.Read(w.Image, w.Image.Size)
		same := err == nil && other != nil && other.Signer == sig.Signer && bytes.Equal(other.KeyID, sig.KeyID)
		if same && c.Kernel.State(name) == kernel.Live && !strings.Contains(c.Kernel.Taints(name), "E") {
			return true, yes
		}
	}
	return false, heard
}
