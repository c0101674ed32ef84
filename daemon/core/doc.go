// Package core decides what the daemon does.
//
// A [Machine] is a deterministic state machine. It is told what happened, one
// [Event] at a time, and answers with the [Effect]s that are to be carried
// out: load this module, scan sysfs again, answer this request. It does no I/O,
// has no clock and no goroutine, and the order in which Go walks a map never
// shows in what it does. Time is a number that comes with each event. So a test
// can run years of a board's life in seconds, with every fault that it can
// think of, and a failing run repeats exactly.
//
// # What it keeps
//
// Devices with a MODALIAS, as the kernel's uevents and the scans of sysfs tell
// of them, and for each the [rules.Decision] about it, shared among devices of
// one MODALIAS. Modules, those that the kernel has and those that a decision
// named. Nothing else grows: memory is bounded by the hardware that is present
// and by the modules that are installed.
//
// # How a module gets in
//
// A device that appears is decided about once. Each [rules.Step] of the
// decision that is not in the kernel yet waits until what it needs is live, and
// for a free slot; then a [Load] goes out. There is never more than one load of
// a module on its way, however many devices ask for it. The load releases what
// waits for it when the module is live, which the kernel's uevent may tell long
// before the call returns. A call that does not return in time gives its slot
// back, so that it holds up nothing but what needs it.
//
// Modules are loaded when a device appears and not when it changes: loading on
// every change would bring back what an administrator has just removed.
//
// A module that modprobe.d has an install command for goes in, or not, by that
// command: what is said of loads holds for it. A command that ends well counts
// for what needs the module, even if it did not put it in, as it does for
// modprobe; one that fails is not tried again before a device appears that calls
// for it, or rules change.
//
// # Who has a device
//
// Rules may say that no driver is to have a device, or that the first of several
// is that takes it. For the first the machine has a worker keep all drivers away
// ([Assign] to Nobody); for the others it wants one module after the other, and
// has the device given to each driver in its turn, which has the rule's time to
// take it. What drivers are kept from is told first ([Persist]), so that the daemon
// after this one can undo it. A device that may be in use is not taken from its
// driver: only one that appeared under the rules that deny it is taken by force.
//
// # What goes first, and what later
//
// What is critical, by a rule or by its class, is loaded before all that waits, and so
// is what it needs. It takes no slot from others, and for half a second after a critical
// load has begun none begins that is not. A module that rules defer is not wanted for a
// device before what it waits for has happened: the end of the boot, of which somebody
// tells (control.ReleaseRequest), a time after the first scan, a file ([AwaitPaths]), or
// somebody who asks for it. What is not deferred and needs it has it loaded all the same,
// and so has a device that waits for a supplier. Two deferred loads at a time are under way.
//
// Of modules that are alike in this the one goes first that the longest chain of others
// waits for. How many go in at once follows from what the processors have to do, which
// is asked for while modules lack a slot ([LookAtPressure]). Files of those that wait are
// read ahead ([ReadAhead]); what is not critical stands back for the kernel's own work
// while critical drivers come (Load.Nice).
//
// # When a module goes
//
// A module that this machine has put in, and that no device which is present leads
// to any more, nor a line, goes after a time: whether it was loaded for a device
// itself or because something needed it. It is asked first who uses it and
// whether it drives anything, whatever rules say of that. One is taken out at a
// time, the one first that came last. What is written down ([Persist]) comes before
// the call. A module that does not come back from it is never tried again; one that
// is wanted again too soon has twice the time. What its parameters were is kept for
// the next load, for which they count unless its options have changed.
//
// # Sleep
//
// Rules may say that a driver leaves memory though its device is there, while nobody
// uses it. The machine asks who does ([Survey]), at first when the rule's time is
// over, and is told when somebody opens or closes a node ([WatchNodes]). When nobody
// has for that time, it is written down what is opened of the devices, placeholders
// are put ([Tend]), the kernel is to ask this daemon ([Help]), and the driver is taken
// out like any other module, with what was in for its devices alone. Somebody who
// opens one asks (control.WakeRequest): the modules are wanted, and need no slot; when
// the device can be opened ([LookOpen]) whoever waits is answered, and in any case
// within ten seconds. What came into use at the last moment, or is called for by
// something else, wakes again. When the devices go, so do their nodes. A driver that
// was woken too soon has twice the time.
//
// What sleeps is looked after. When a module comes in with which the kernel would not ask
// for it, its nodes give way to those of whatever that comes in for ([HideNodes]), and it
// wakes before that. When another device that had the name of a node goes, or the daemon
// begins, it is looked whether the nodes are there ([LookNodes]), and they are made again.
//
// A device that is to wait for somebody who opens it has nodes made for it instead of
// a driver, once the machine has seen what is opened of one of its model.
//
// # What it keeps of the boot
//
// Of the first load of each module, and of each device's first driver, it keeps when that
// was (control.BootRequest), in room that their records have anyway. What is loaded once
// more does not count, nor what comes after the boot: which is over when nothing has begun
// for ten seconds that is a part of it, and goes on with what was held back. What a load
// had to wait for is not kept: whoever asks can tell from the times.
//
// # When it is settled
//
// Nothing is pending when a scan has ended since the last one was asked for,
// and no module waits or is on its way in but those that have taken longer than
// the machine has patience, and those that need one of these. Whoever waits for
// that is not answered on this knowledge alone, for a load may have brought
// devices whose uevents were not read yet: first the kernel's socket is read to
// its end ([CatchUp]), and if that leads to anything, it begins anew.
//
// # What it counts
//
// Every load has one end, for which it is counted (control.Outcome), or is
// under way: the machine forgets a load in one place, and counts it there.
// Loads whose module waited in vain for what it needs were never begun.
//
// # What it says
//
// Every event that changed something and every decision leaves as a [Note],
// with the reasons that were recorded where it was taken. The words of
// Note.What are: seen, gone, bound, unbound, refused, load, live, failed,
// declined, command ran, put off, slow, said, not taken, firmware, probe, waiting,
// passed over, given, denied, not denied, in use, released, not released,
// appeared, removed, unload, stays, stuck, sleep, asleep, wake, awake, unset, nodes, lost,
// scanned, rules, held back, due.
package core
