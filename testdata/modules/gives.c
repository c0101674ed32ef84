// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// The other half of needs.c, needs_gpl.c and needs_apart.c: it has the symbols.
#include <linux/module.h>

int kmodlab_given;
EXPORT_SYMBOL(kmodlab_given);

int kmodlab_freely;
EXPORT_SYMBOL_GPL(kmodlab_freely);

int kmodlab_apart;
EXPORT_SYMBOL_NS(kmodlab_apart, KMODLAB);

MODULE_DESCRIPTION("exports symbols: kmodlab_given, for GPL modules only kmodlab_freely, and in a namespace kmodlab_apart");
MODULE_LICENSE("GPL");
