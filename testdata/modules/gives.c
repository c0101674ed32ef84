// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// The other half of needs.c: it has the symbol.
#include <linux/module.h>

int kmodlab_given;
EXPORT_SYMBOL(kmodlab_given);

MODULE_DESCRIPTION("exports the symbol kmodlab_given");
MODULE_LICENSE("GPL");
