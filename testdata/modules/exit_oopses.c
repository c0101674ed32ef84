// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A module for a PCI card whose exit writes where nothing is.
#include <linux/module.h>
#include <linux/pci.h>

static const struct pci_device_id ids[] = {
	{ PCI_DEVICE(0x1b36, 0x0005) }, // QEMU's pci-testdev
	{ }
};
MODULE_DEVICE_TABLE(pci, ids);

static int __init exit_oopses_init(void)
{
	return 0;
}
module_init(exit_oopses_init);

static void __exit exit_oopses_exit(void)
{
	*(volatile int *)8 = 1;
}
module_exit(exit_oopses_exit);

MODULE_DESCRIPTION("oopses in exit");
MODULE_LICENSE("GPL");
