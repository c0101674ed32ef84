// Package fake is the kernel's answers about modules, without a kernel, a clock
// or a goroutine. It exists for tests: of what drives loads in simulated
// time, and of itself, by the same cases that run on the real kernel (the
// contract tests of the package above).
//
// # Time
//
// Time is what the caller says it is. [Kernel.Insert], [Kernel.Remove],
// [Kernel.Plug] and [Kernel.Unplug] only note that something is to begin;
// [Kernel.Next] says when something will happen next, and [Kernel.Advance] lets
// everything happen up to a time and returns it in order. The same calls give
// the same events.
//
// # What is true to Linux 6.1
//
// The order in which a load is checked (load_module in kernel/module/main.c):
// the file, the name, the symbols, the parameters, the init function.
//
//   - The second load of a module that is on its way in waits, and then says
//     EEXIST if the module became live and EBUSY if it did not
//     (add_unformed_module). One that meets a module on its way out says EBUSY.
//   - A load that needs a symbol of a module on its way in waits for it, for 30
//     seconds at most, then says EBUSY; it says ENOENT at once if that module
//     is not there (resolve_symbol_wait).
//   - The module is live, and its uevent sent, before the call returns: that
//     waits for all asynchronous probes begun so far, of whatever module,
//     unless the module was loaded with async_probe (do_init_module).
//   - Those who wait look again only when some load or unload ends
//     (module_wq).
//   - Synchronous probes end before the module is live, asynchronous ones
//     after. A probe whose supplier is not bound is put off, and tried again
//     after each successful one (drivers/base/dd.c).
//   - A module with holders or users says EAGAIN to an unload, one without an
//     exit function or not live EBUSY.
//
// # What is left out
//
// Signatures and versions are one field ([Module.Refused]). Init functions do
// not call request_module. Loads of one inode by two callers are not joined,
// as they are since Linux 6.5.
package fake
