package inspect

// EventKind says what an event or a message is about. The kinds are those of store.Kind.
type EventKind string

// The kinds of events.
const (
	EventStarted          EventKind = "started"          // data: input
	EventPayloadReceived  EventKind = "payload_received" // ref: hook ID, data: payload
	EventCancelRequested  EventKind = "cancel_requested"
	EventWoken            EventKind = "woken"             // sleeps end now
	EventRetried          EventKind = "retried"           // a failed run goes on; its steps have all their attempts again
	EventRetryNow         EventKind = "retry_now"         // steps that wait for their next attempt are attempted at once
	EventResumed          EventKind = "resumed"           // a run that was paused goes on
	EventForked           EventKind = "forked"            // ref: the run that it was forked from, whose events come before; what was pending there begins again
	EventChildCompleted   EventKind = "child_completed"   // ref: call, data: result
	EventChildFailed      EventKind = "child_failed"      // ref: call, data: error
	EventChildStarted     EventKind = "child_started"     // ref: call, data: run ID
	EventChildExists      EventKind = "child_exists"      // ref: call, data: run ID; the ID was taken by another run
	EventAwaitedCompleted EventKind = "awaited_completed" // ref: the await and the run, data: result of that run
	EventAwaitedFailed    EventKind = "awaited_failed"    // ref: the await and the run, data: error of that run
	EventAwaitRefused     EventKind = "await_refused"     // ref: the await and the run, data: the runs of which each awaits the next, if it would be a cycle
	EventStepStarted      EventKind = "step_started"      // ref: step; only in quarantine
	EventStepRetried      EventKind = "step_retried"      // ref: step, data: error and time of the next attempt
	EventStepCompleted    EventKind = "step_completed"    // ref: step, data: result
	EventStepFailed       EventKind = "step_failed"       // ref: step, data: error
	EventTimerFired       EventKind = "timer_fired"       // ref: timer
	EventHookClaimed      EventKind = "hook_claimed"      // ref: hook, data: hook ID
	EventHookConflict     EventKind = "hook_conflict"     // ref: hook, data: owner's run ID
	EventHookMismatch     EventKind = "hook_mismatch"     // ref: hook, data: what the run carries under the token, another form of hook
	EventHookDrained      EventKind = "hook_drained"      // ref: hook; all that was accepted before its close has come
	EventResponded        EventKind = "responded"         // ref: response, the request is answered
	EventRespondConflict  EventKind = "respond_conflict"  // ref: response, the request had been answered already
	EventRestarted        EventKind = "restarted"         // ref: the generation that begins
	EventRunCompleted     EventKind = "completed"         // data: result
	EventRunFailed        EventKind = "failed"            // data: error
	EventRunCanceled      EventKind = "canceled"          // data: error
)

// Failure reports whether an event of this kind brings an error.
func (k EventKind) Failure() bool {
	switch k {
	case EventStepRetried, EventStepFailed, EventChildFailed, EventAwaitedFailed, EventRunFailed, EventRunCanceled:
		return true
	default:
		return false
	}
}
