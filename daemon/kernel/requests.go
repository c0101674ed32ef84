package kernel

import (
	"strings"

	"github.com/kmodd/kmodd/match/kofile"
)

// Requests says whether a module may have the kernel load others on its own, by
// request_module(), while its driver probes a device.
type Requests uint8

// What is known of that.
const (
	MayRequest     Requests = iota // it was not found out
	RequestsNone                   // its file needs nothing by which it could
	RequestsOthers                 // its file does
)

// requesting are parts of the names of symbols by which a module has others loaded:
// the kernel's own function, and functions which call that, for the parts that are
// built in, or belong to a module that is in already. A NUL is the end of a name.
// Where they are in Linux: kernel/module/kmod.c, crypto/api.c,
// drivers/net/phy/{mdio_bus,phy_device,phylink}.c, sound/{core,hda,pci/hda},
// drivers/media/v4l2-core/v4l2-i2c.c, drivers/scsi/scsi_dh.c and
// drivers/ata/libata-core.c, which scan for disks; drivers/mtd/mtdpart.c,
// drivers/cpufreq, drivers/devfreq, drivers/of/module.c, fs/nls, fs/filesystems.c
// and net/socket.c.
var requesting = []string{
	"__request_module\x00",
	"crypto_alloc_", "crypto_has_",
	"mdiobus_register", "mdiobus_scan", "phy_device_create\x00", "get_phy_device\x00", "phy_connect", "phy_find", "phylink_create\x00", "fixed_phy_register",
	"snd_hda_", "snd_seq_device_new\x00", "v4l2_i2c_", "v4l2_spi_",
	"scsi_add_host_with_dma\x00", "scsi_scan_", "ata_host_register\x00", "ata_host_activate\x00",
	"mtd_device_parse_register\x00", "cpufreq_register_driver\x00", "devfreq_add_device", "of_request_module\x00",
	"load_nls", "get_fs_type\x00", "sock_create",
}

// requestsOf looks for that among the names of a module file's symbols. Finding out
// takes reading them all.
func requestsOf(file *kofile.File) Requests {
	switch found, err := file.Mentions(requesting...); {
	case err != nil:
		return MayRequest
	case found:
		return RequestsOthers
	}
	return RequestsNone
}

// Async says whether a module's drivers are to probe devices on the kernel's own
// threads, while others are loaded (async_probe, Documentation/admin-guide/kernel-parameters.txt).
type Async uint8

// How they may probe.
const (
	AsyncNever   Async = iota // as the driver itself prefers, which is rarely so
	AsyncUnasked              // the same; but it is found out whether it could
	AsyncIfSafe               // if the file needs nothing by which it could request others
	AsyncAlways
)

// AsyncOption is the parameter that each module takes for it.
const AsyncOption = "async_probe"

// Probing returns a module with what its options have to say about how its drivers
// probe, by what was found out about its file, and whether that is anything.
func (m Module) Probing(found Requests) (as Module, async bool) {
	if m.Async != AsyncAlways && (m.Async != AsyncIfSafe || found != RequestsNone) {
		return m, false
	}
	for option := range strings.FieldsSeq(m.Options) {
		if name, _, _ := strings.Cut(option, "="); name == AsyncOption {
			return m, false // somebody has decided that
		}
	}
	if m.Options != "" {
		m.Options += " "
	}
	m.Options += AsyncOption
	return m, true
}
