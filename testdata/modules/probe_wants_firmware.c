// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// The driver of a card that needs firmware: QEMU's edu, which nobody else drives.
#include <linux/firmware.h>
#include <linux/module.h>
#include <linux/pci.h>

#define NAME "kmodlab/edu.bin"

static int wants_firmware_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	const struct firmware *fw;
	int err = request_firmware(&fw, NAME, &dev->dev);

	if (err)
		return err;
	pci_info(dev, "has its firmware, %zu bytes\n", fw->size);
	release_firmware(fw);
	return 0;
}

static void wants_firmware_remove(struct pci_dev *dev)
{
}

static const struct pci_device_id wants_firmware_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};
MODULE_DEVICE_TABLE(pci, wants_firmware_ids);

static struct pci_driver wants_firmware_driver = {
	.name = "probe_wants_firmware",
	.id_table = wants_firmware_ids,
	.probe = wants_firmware_probe,
	.remove = wants_firmware_remove,
};
module_pci_driver(wants_firmware_driver);

MODULE_FIRMWARE(NAME);
MODULE_DESCRIPTION("needs firmware in probe");
MODULE_LICENSE("GPL");
