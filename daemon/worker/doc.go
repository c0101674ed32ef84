// Package worker makes the calls that may never return, in processes of their
// own.
//
// # Why processes
//
// A module's init function runs inside finit_module and may sleep for as long
// as it likes. The thread that made the call can't be killed meanwhile, and a
// process with such a thread can't end: it keeps its locks, its sockets and
// its names, so a successor can't start. A worker therefore holds nothing but
// its end of one socket and, during a call, the descriptor of one module file.
// If the daemon is killed while a worker is in a call, the worker finishes the
// call, finds the socket closed and ends. Nothing has to tell it.
//
// # The two programs
//
// A worker is the daemon's own program, started again from /proc/self/exe under
// the name [Name] (so both ends of the socket are of one version even when the
// file has been replaced since). Files that the kernel can't unpack go to
// kmodd-tools under the name [AbleName], which has the decompressors, and so do
// devices that may be taken only while nobody uses them, for it can tell
// ([Abilities]): neither the code for that nor the 8 to 21 MB that it uses are
// ever the daemon's. Both programs hand over to [Serve] before they do anything
// else.
//
// # The conversation
//
// One SOCK_SEQPACKET pair for each worker, one request at a time, one packet
// each way; the file is opened by the daemon and passed with SCM_RIGHTS. A
// worker is in a session of its own and ignores SIGINT, SIGTERM and SIGHUP,
// because they are meant for the daemon and could break an init function's
// wait: it ends when the socket does. Its standard error is the daemon's (what
// a crash writes there is worth having), the other two are /dev/null, and its
// environment is empty but for settings of the Go runtime.
//
// # Death in a call
//
// An oops in an init function ends the thread that called it, not its process
// (make_task_dead in kernel/exit.c), and the Go runtime does not notice. So
// each worker has a second thread that waits for the first one's end
// (set_tid_address(2)) and ends the process, and the daemon reads end of file.
//
// # Who decides
//
// [Pool] starts as many workers as it is given calls: how many run at once,
// how long to wait for one and what its failure means are the core's
// decisions. A call that the core has stopped waiting for ([Pool.Abandon])
// costs one process and one goroutine until it returns.
package worker
