// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A module that can't go in unless gives.ko is in, and it imports the namespace KMODLAB.
#include <linux/module.h>

extern int kmodlab_apart;

static int __init needs_apart_init(void)
{
	return kmodlab_apart;
}
module_init(needs_apart_init);

static void __exit needs_apart_exit(void)
{
}
module_exit(needs_apart_exit);

MODULE_DESCRIPTION("needs the symbol kmodlab_apart");
MODULE_IMPORT_NS(KMODLAB);
MODULE_LICENSE("GPL");
