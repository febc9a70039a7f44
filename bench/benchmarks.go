package main

import "context"

// benchmark is something that is measured.
type benchmark struct {
	name  string
	round round
	once  bool // in one round, because it takes long
}

// round measures once.
type round func(ctx context.Context, e *env) ([]metric, error)

// onSQLite and onPostgres are in the order of their tables.
var onSQLite = []benchmark{
	{name: "steps/1", round: stepRuns(1, budget{}, atMost(4.05))},
	{name: "steps/8", round: stepRuns(8, budget{}, budget{})},
	{name: "steps/64", round: stepRuns(64, atLeast(8000), budget{})},
	{name: "steps/256", round: stepRuns(256, budget{}, budget{})},
	{name: "latency/step", round: stepLatency(atMost(0.6))},
	{name: "latency/resume", round: resumeLatency("resume → run completed", 0, atMost(0.5))},
	{name: "latency/evicted", round: resumeLatency("resume → run completed, evicted run", -1, budget{})},
	{name: "resumes/cached", round: resumeMany("parked runs resumed, 32 at a time", resumedRuns, atLeast(20_000))},
	{name: "resumes/evicted", round: resumeMany("parked runs resumed, 32 at a time, evicted", -1, budget{})},
	{name: "payload/1kB", round: payloads("1 kB", 1000, 2000)},
	{name: "payload/100kB", round: payloads("100 kB", 100_000, 500)},
	{name: "payload/1MB", round: payloads("1 MB", 1_000_000, 100)},
	{name: "backlog", round: workOff},
	{name: "webhook/accepted", round: acceptedRequests("spread over 64 runs", connections)},
	{name: "webhook/accepted-one", round: acceptedRequests("all to one run", 1)},
	{name: "webhook/manual/workflow/1", round: roundTrips(fromWorkflow, 1, atMost(1.5))},
	{name: "webhook/manual/workflow/64", round: roundTrips(fromWorkflow, connections, budget{})},
	{name: "webhook/manual/step/1", round: roundTrips(fromStep, 1, atMost(1.5))},
	{name: "webhook/manual/step/64", round: roundTrips(fromStep, connections, budget{})},
	{name: "call/workflow/1", round: calls(fromWorkflow, 1)},
	{name: "call/workflow/64", round: calls(fromWorkflow, connections)},
	{name: "call/step/1", round: calls(fromStep, 1)},
	{name: "publish", round: publishToMany},
	{name: "long", round: longSteps},
	{name: "replay", round: replayJournal},
	{name: "parked", round: measureParked},
	{name: "floor", round: measureFloor},
}

var onPostgres = []benchmark{
	{name: "postgres/steps/1", round: billed(stepRuns(1, budget{}, atMost(4.05)))},
	{name: "postgres/steps/64", round: billed(stepRuns(64, atLeast(3000), budget{}))},
	{name: "postgres/workers/64", round: billed(stepRunsOfWorkers(64, atLeast(5000)))},
	{name: "postgres/workers/16", round: billed(stepRunsOfWorkers(16, budget{}))},
	{name: "postgres/workers/client", round: billed(stepRunsOfClient(64))},
	{name: "postgres/workers/resumes", round: resumesOfClient(64, "parked runs, a process resumes and awaits 64 at a time, 4 others execute them", 0)},
	{name: "postgres/workers/resumes-evicted", round: resumesOfClient(64, "parked runs that nobody has in memory, a process resumes and awaits 64 at a time, 4 others execute them", -1)},
	{name: "postgres/workers/webhook/accepted", round: acceptedElsewhere(connections)},
	{name: "postgres/workers/webhook/manual/1", round: roundTripsElsewhere(fromWorkflow, 1)},
	{name: "postgres/workers/webhook/manual/64", round: roundTripsElsewhere(fromWorkflow, connections)},
	{name: "postgres/call/workflow/1", round: calls(fromWorkflow, 1)},
	{name: "postgres/workers/call/1", round: callsElsewhere(fromWorkflow, 1)},
	{name: "postgres/workers/call/64", round: callsElsewhere(fromWorkflow, connections)},
	{name: "postgres/latency/step", round: stepLatency(budget{})},
	{name: "postgres/latency/resume", round: resumeLatency("resume → run completed, in one process", 0, budget{})},
	{name: "postgres/latency/evicted", round: resumeLatency("resume → run completed, in one process, evicted run", -1, budget{})},
	{name: "postgres/across/resume", round: acrossProcesses("resume → completed by another process", 0, atMost(2.5))},
	{name: "postgres/across/evicted", round: acrossProcesses("resume → completed by another process, evicted run", -1, budget{})},
	{name: "postgres/resumes/cached", round: resumeMany("parked runs resumed, 32 at a time", resumedRuns, budget{})},
	{name: "postgres/resumes/evicted", round: resumeMany("parked runs resumed, 32 at a time, evicted", -1, budget{})},
	{name: "postgres/payload/1kB", round: payloads("1 kB", 1000, 1000)},
	{name: "postgres/payload/100kB", round: payloads("100 kB", 100_000, 300)},
	{name: "postgres/payload/1MB", round: payloads("1 MB", 1_000_000, 60)},
	{name: "postgres/backlog", round: workOff},
	{name: "postgres/publish", round: publishToMany},
	{name: "postgres/idle", round: idleFleet(workers), once: true},
	{name: "postgres/idle/16", round: idleFleet(16), once: true},
	{name: "postgres/floor", round: measureServerFloor},
}
