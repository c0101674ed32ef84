package main

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kmodd/kmodd/daemon/control"
)

// up is the only metric that there is without the daemon.
var up = desc("up", "Whether kmodd answered: 1, or 0, and then there is nothing else.")

// loadSeconds is the only metric that is no plain number.
var loadSeconds = desc("load_seconds",
	"How long loads took, in seconds, from being handed to a worker until the module was live or refused.")

// A family is one metric with all of its labels' values.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*answer) []sample
}

// A sample is a number with the values of its family's labels.
type sample struct {
	value  float64
	labels []string
}

// The words that label values are made of are those that kmodctl prints.
var families = []family{
	{desc("build_info", "Always 1: which kmodd runs.", "version"), prometheus.GaugeValue,
		func(a *answer) []sample { return one(1, a.Version) }},
	{desc("kernel_info", "Always 1: the kernel, and the folder of its module tables.", "release", "tables"), prometheus.GaugeValue,
		func(a *answer) []sample { return one(1, a.Kernel, a.Tables) }},
	{desc("start_monotonic_seconds", "When kmodd started, in seconds since the kernel's start (CLOCK_MONOTONIC, as in dmesg)."), prometheus.GaugeValue,
		func(a *answer) []sample { return one(a.Started.Seconds()) }},
	{desc("settled", "Whether all is scanned and nothing is on its way in, but for what takes longer than kmodd has patience: 1, or 0."), prometheus.GaugeValue,
		func(a *answer) []sample { return one(truth(a.Settled)) }},
	{desc("config_warnings", "What was wrong with module tables and configuration when they were last read; kmodctl status shows it."), prometheus.GaugeValue,
		func(a *answer) []sample { return one(float64(len(a.Warnings))) }},

	{desc("uevents_total", "Messages on the kernel's uevent socket, those that were skipped included."), prometheus.CounterValue,
		func(a *answer) []sample { return one(float64(a.Uevents.Received)) }},
	{desc("uevents_skipped_total", "Messages that were not believed (foreign: not from the kernel) or not understood (malformed).", "reason"), prometheus.CounterValue,
		func(a *answer) []sample {
			return []sample{
				{float64(a.Uevents.Foreign), []string{"foreign"}},
				{float64(a.Uevents.Malformed), []string{"malformed"}},
			}
		}},
	{desc("uevent_overruns_total", "Times that the socket's buffer was full (ENOBUFS) and uevents were lost. Each is made good for by a scan."), prometheus.CounterValue,
		func(a *answer) []sample { return one(float64(a.Uevents.Overflows)) }},
	{desc("scans_total", "Scans of sysfs that have ended."), prometheus.CounterValue,
		func(a *answer) []sample { return one(float64(a.Uevents.Scans)) }},

	{desc("devices", "Devices with a MODALIAS that are present, by what has become of them.", "state"), prometheus.GaugeValue,
		func(a *answer) []sample { return each(control.Results, a.Devices) }},
	{desc("modules", "Modules that are in the kernel, on their way or failed. Those that are waiting are the queue of loads.", "state"), prometheus.GaugeValue,
		func(a *answer) []sample { return each(control.States, a.Modules) }},
	{desc("loads_total", "Loads that have ended, by how. Those that were busy or put off are tried again.", "result"), prometheus.CounterValue,
		func(a *answer) []sample { return each(control.Outcomes, a.Loads) }},
	{desc("loads_slow_total", "Loads that took longer than kmodd's patience (5 s unless -patience says otherwise). They may not have ended."), prometheus.CounterValue,
		func(a *answer) []sample { return one(float64(a.SlowLoads)) }},

	{desc("sleeps_total", "Times that a driver has left memory while its device was there."), prometheus.CounterValue,
		func(a *answer) []sample { return one(float64(a.Slept)) }},
	{desc("wakes_total", "Times that such a driver has come back."), prometheus.CounterValue,
		func(a *answer) []sample { return one(float64(a.Woken)) }},
	{desc("freed_bytes_total", "Memory that came free by taking modules out: their code and data at least, and what they had allocated as far as it was measured."), prometheus.CounterValue,
		func(a *answer) []sample { return one(float64(a.Freed)) }},

	{desc("foreseen_devices_total", "Devices whose drivers were to be loaded before they were met, since the last boots had them."), prometheus.CounterValue,
		func(a *answer) []sample { return one(float64(a.Foreseen)) }},
	{desc("mispredicted_devices_total", "Those of them that this boot had not."), prometheus.CounterValue,
		func(a *answer) []sample { return one(float64(a.Mispredicted)) }},

	{desc("notes_missed_total", "Notes that subscribers, such as kmodctl monitor, were too slow to read."), prometheus.CounterValue,
		func(a *answer) []sample { return one(float64(a.NotesMissed)) }},
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("kmodd_"+name, help, labels, nil)
}

func one(value float64, labels ...string) []sample { return []sample{{value, labels}} }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// each makes a sample of every count. Those that are known are there from the
// beginning, since a series that appears with its first event hides it from
// rate(); those that only a newer daemon knows follow.
func each[K ~string, N int | uint64](known []K, counts map[K]N) []sample {
	all := slices.Clone(known)
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		if !slices.Contains(known, k) {
			all = append(all, k)
		}
	}
	samples := make([]sample, len(all))
	for i, k := range all {
		samples[i] = sample{float64(counts[k]), []string{string(k)}}
	}
	return samples
}

func histogram(t control.LoadTimes) prometheus.Metric {
	buckets, total := cumulate(t)
	return prometheus.MustNewConstHistogram(loadSeconds, total, t.Sum.Seconds(), buckets)
}

// cumulate adds up what the daemon counts class by class, as Prometheus wants
// it: the bucket of each bound, in seconds, holds all that took up to that.
func cumulate(t control.LoadTimes) (buckets map[float64]uint64, total uint64) {
	buckets = make(map[float64]uint64, len(t.Bounds))
	for i, n := range t.Counts {
		total += n
		if i < len(t.Bounds) {
			buckets[t.Bounds[i].Seconds()] = total
		}
	}
	return buckets, total
}
