// Package depmod is the command depmod(8): its options, its words and its exit
// statuses, over package [github.com/kmodd/kmodd/match/depmod].
package depmod
