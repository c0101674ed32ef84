// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// The driver of a card that takes its time to come up: QEMU's pci-testdev, which
// nobody else drives. It is up when somebody writes 1 into
// /sys/module/probe_sleeps/parameters/up.
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/pci.h>

static bool card_up;
module_param_named(up, card_up, bool, 0644);

static int probe_sleeps_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	pci_info(dev, "waiting for the card\n");
	while (!READ_ONCE(card_up))
		msleep(50);
	pci_info(dev, "the card is up\n");
	return 0;
}

static void probe_sleeps_remove(struct pci_dev *dev)
{
}

static const struct pci_device_id probe_sleeps_ids[] = {
	{ PCI_DEVICE(0x1b36, 0x0005) },
	{ }
};
MODULE_DEVICE_TABLE(pci, probe_sleeps_ids);

static struct pci_driver probe_sleeps_driver = {
	.name = "probe_sleeps",
	.id_table = probe_sleeps_ids,
	.probe = probe_sleeps_probe,
	.remove = probe_sleeps_remove,
};
module_pci_driver(probe_sleeps_driver);

MODULE_DESCRIPTION("sleeps in probe");
MODULE_LICENSE("GPL");
