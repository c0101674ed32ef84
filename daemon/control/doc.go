// Package control is how the daemon is asked: the types that travel, the
// socket that they travel over, its server and its client. It imports nothing
// else of kmodd's, so that a client stays thin.
//
// # On the wire
//
// The protocol is Varlink, the convention of systemd's own services: JSON
// objects, each ended by a NUL byte, over a Unix stream socket. So `varlinkctl
// call /run/kmodd/io.kmodd io.kmodd.Status {}` works wherever systemd is, and
// anybody else gets by with six lines of a script. What can be called is
// written in io.kmodd.varlink, which the daemon hands out itself.
//
// One connection serves one call after the other. A call with "more" to
// io.kmodd.Monitor gets every note from then on, each as a reply with
// "continues"; who has heard enough closes the connection.
//
// # Who may ask
//
// The kernel says who is at the other end (SO_PEERCRED, unix(7)): the uid that
// called connect(2). Every local user may read. What changes something is for
// uid 0, and everybody else is told org.varlink.service.PermissionDenied.
//
// # What a client can't do
//
// The daemon is privileged and has to outlive whatever its clients send:
//
//   - A message is at most 64 KiB. Longer ones, and what is not JSON, are
//     answered with an error and the end of the connection.
//   - A message that has begun must be complete within five seconds, and a
//     reply must be taken within ten.
//   - There are 64 connections, of which users other than root have 48, and
//     each of them 16. So no user can lock root out.
//   - A subscriber that does not read holds up nobody. It loses the oldest of
//     what waits for it, and the next note that it reads says how many.
//
// # One daemon
//
// [Listen] takes the address only when nobody answers there. The socket that a
// killed daemon left behind is no obstacle: connect(2) to it is refused, and
// it is removed.
package control
