// Package kmsg finds what the kernel said of a module or of a device.
//
// A system call answers with a number; why a driver refused its device, which
// symbol was missing, which firmware file was looked for, the kernel writes to
// its log. /dev/kmsg gives that log record by record, each with the device that
// it is about, where the driver used dev_err and its like
// (Documentation/ABI/testing/dev-kmsg).
//
// # When it is read
//
// A [Log] is read when somebody asks, and not whenever the kernel writes
// something: a chatty kernel wakes nobody. What was read last is kept in a few
// kilobytes, because several loads at a time ask about the same lines, and is
// let go when it has become quiet. Firmware that was missing is kept for longer.
//
// # Whose line it is
//
// A record that carries a device belongs to that device; what its bus says of it
// is not asked for. Of the others, one belongs to a module if it was written
// after the module's load had begun and names the module. The kernel's own
// complaints about a file may name nothing ("Loading of unsigned module is
// rejected"), and an oops names the module late: of a load that failed, urgent
// lines count as well, and if there are none at all, those that nobody has put a
// name before.
//
// Timestamps are of no use for that: those of the log are of the scheduler's
// clock, which drifts from CLOCK_MONOTONIC.
package kmsg
