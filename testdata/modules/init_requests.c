// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// A module whose init has the kernel's helper (/sbin/modprobe) load another one,
// and waits for it, as many drivers do.
#include <linux/kmod.h>
#include <linux/module.h>

static char *module = "hello";
module_param(module, charp, 0444);
MODULE_PARM_DESC(module, "the name of the other one");

static int __init init_requests_init(void)
{
	int status = request_module("%s", module);

	pr_info("init_requests: the request for %s ended with %d\n", module, status);
	return status < 0 ? status : 0;
}
module_init(init_requests_init);

static void __exit init_requests_exit(void)
{
}
module_exit(init_requests_exit);

MODULE_DESCRIPTION("requests another module in init");
MODULE_LICENSE("GPL");
