package policy

import (
	"strconv"
	"sync"
)

// A Probing says whether a module's drivers are to probe devices asynchronously, on
// threads of the kernel's, while others are loaded. It is as a rule has it.
type Probing string

// The probings. The zero value is Auto, too.
const (
	Auto  Probing = "auto"
	Async Probing = "true"
	Sync  Probing = "false"
)

func (p Probing) toml() string {
	if p == Auto {
		return strconv.Quote(string(p))
	}
	return string(p)
}

// naming are the classes whose devices the kernel gives names in the order of their
// probes, and which of them share these. Disks are not among them: the kernel probes
// them asynchronously itself (drivers/scsi/sd.c), so their names are never to be relied on.
var naming = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"network": "eth", "wifi": "wlan", "can": "can", "bluetooth": "hci",
		"sound": "card", "camera": "video", "media": "video", "serial": "tty",
	}
})

// Naming returns what kind of names the devices of a class get in the order of their
// probes, "" for none.
func Naming(class string) string { return naming()[class] }
