// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// The driver of QEMU's pci-testdev, whose probe has the kernel's helper load another
// module, and waits for it, as drivers do that take their card's parts from others.
#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/pci.h>

static int probe_requests_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	int status = request_module("hello");

	pci_info(dev, "the request for hello ended with %d\n", status);
	return 0;
}

static void probe_requests_remove(struct pci_dev *dev)
{
}

static const struct pci_device_id probe_requests_ids[] = {
	{ PCI_DEVICE(0x1b36, 0x0005) },
	{ }
};
MODULE_DEVICE_TABLE(pci, probe_requests_ids);

static struct pci_driver probe_requests_driver = {
	.name = "probe_requests",
	.id_table = probe_requests_ids,
	.probe = probe_requests_probe,
	.remove = probe_requests_remove,
};
module_pci_driver(probe_requests_driver);

MODULE_DESCRIPTION("requests another module in probe");
MODULE_LICENSE("GPL");
