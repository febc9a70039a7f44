package inspect

// EventKind says what an event or a message is about. The kinds are those of store.Kind.
type EventKind string

// The kinds of events.
const (
	EventStarted         EventKind = "started"          // data: input
	EventPayloadReceived EventKind = "payload_received" // ref: hook ID, data: payload
	EventCancelRequested EventKind = "cancel_requested"
	EventWoken           EventKind = "woken"            // sleeps end now
	EventRetried         EventKind = "retried"          // a failed run goes on; its steps have all their attempts again
	EventChildCompleted  EventKind = "child_completed"  // ref: call, data: result
	EventChildFailed     EventKind = "child_failed"     // ref: call, data: error
	EventChildStarted    EventKind = "child_started"    // ref: call, data: run ID
	EventChildExists     EventKind = "child_exists"     // ref: call, data: run ID; the ID was taken by another run
	EventStepStarted     EventKind = "step_started"     // ref: step; only in quarantine
	EventStepRetried     EventKind = "step_retried"     // ref: step, data: error and time of the next attempt
	EventStepCompleted   EventKind = "step_completed"   // ref: step, data: result
	EventStepFailed      EventKind = "step_failed"      // ref: step, data: error
	EventTimerFired      EventKind = "timer_fired"      // ref: timer
	EventHookClaimed     EventKind = "hook_claimed"     // ref: hook, data: hook ID
	EventHookConflict    EventKind = "hook_conflict"    // ref: hook, data: owner's run ID
	EventHookDrained     EventKind = "hook_drained"     // ref: hook; all that was accepted before its close has come
	EventResponded       EventKind = "responded"        // ref: response, the request is answered
	EventRespondConflict EventKind = "respond_conflict" // ref: response, the request had been answered already
	EventRunCompleted    EventKind = "completed"        // data: result
	EventRunFailed       EventKind = "failed"           // data: error
	EventRunCanceled     EventKind = "canceled"         // data: error
)

// Failure reports whether an event of this kind brings an error.
func (k EventKind) Failure() bool {
	switch k {
	case EventStepRetried, EventStepFailed, EventChildFailed, EventRunFailed, EventRunCanceled:
		return true
	default:
		return false
	}
}
