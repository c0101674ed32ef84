// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A module whose init refuses, with an errno of one's choice.
#include <linux/module.h>

static int errno = EIO;
module_param(errno, int, 0444);
MODULE_PARM_DESC(errno, "what init returns, as a positive number");

static int __init init_fails_init(void)
{
	pr_err("init_fails: the device answers with nonsense, giving up\n");
	return -errno;
}
module_init(init_fails_init);

MODULE_DESCRIPTION("fails in init");
MODULE_LICENSE("GPL");
