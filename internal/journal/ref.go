package journal

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Number is how a generation refers to its n-th hook or response: "3", and from the second
// generation on, which is number 1, with the number of the generation, such as "1.3". So what
// leaves a run has other names in each of its generations.
func Number(generation, n int) string {
	if generation == 0 {
		return strconv.Itoa(n)
	}
	return strconv.Itoa(generation) + "." + strconv.Itoa(n)
}

// NumberedRef is the reference of the n-th step or child of a name in a generation, such as
// "charge#1", or "charge#1.1" in the second.
func NumberedRef(name string, generation, n int) string { return name + "#" + Number(generation, n) }

// GenerationOf is the generation of a NumberedRef.
func GenerationOf(ref string) int {
	number, _, later := strings.Cut(ref[strings.LastIndexByte(ref, '#')+1:], ".")
	if !later {
		return 0
	}
	generation, err := strconv.Atoi(number)
	if err != nil {
		return 0 // another kind of reference
	}
	return generation
}

// StepID is the ID of a step, unlike that of any step of another run. Authors hand it to
// other systems as an idempotency key. What follows its last slash is the step: slashes in the
// step's name are escaped, lest step "b/c" of run "a" be step "c" of run "a/b".
func StepID(runID, ref string) string {
	if strings.Contains(ref, "/") || strings.Contains(ref, "%2") { // other names have their IDs as they are
		ref = stepEscapes.Replace(ref)
	}
	return runID + "/" + ref
}

var stepEscapes = strings.NewReplacer("%", "%25", "/", "%2F")

// ResponderID is the place in a run that responds to a request. A repeat by the same one is not a
// conflict.
func ResponderID(runID, ref string) string { return runID + "/respond " + ref }

// Server is the responder of what a sender was told in the place of a response that was too late for
// it. All others have a slash.
const Server = "the server"

// ChildRunID is the ID of a child that has none of the author's own. It tells where the child comes
// from: the parent's ID, then the child's workflow and number. If it were longer than a name may be,
// the middle is replaced by a hash of the whole: the first ancestor and the last ones stay.
func ChildRunID(parentID, ref string) string {
	id := parentID + "." + strings.ReplaceAll(ref, "#", ".")
	if len(id) <= longestID {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	hash := base64.RawURLEncoding.EncodeToString(sum[:16])
	first, last := id[:keptOfID], id[len(id)-keptOfID:]
	for !utf8.ValidString(first) {
		first = first[:len(first)-1]
	}
	for !utf8.ValidString(last) {
		last = last[1:]
	}
	return first + "~" + hash + "~" + last
}

const (
	longestID = 512 // as run.MaxName says
	keptOfID  = 200 // bytes at either end of what would be longer
)

// ReservedHook is the number of the hook that a store makes for the run that a payload
// starts. Hooks that code opens count from 1.
const ReservedHook = "0"

const hookSuffix = ".h"

// HookID is the ID of a hook.
func HookID(runID, number string) string { return runID + hookSuffix + number }

// ReservedHookID is the ID of the hook of a run that a payload starts.
func ReservedHookID(runID string) string { return HookID(runID, ReservedHook) }

// HookNumber is the number of a hook within its run, by its ID; an ID of another run
// stays as it is.
func HookNumber(runID, id string) string { return strings.TrimPrefix(id, runID+hookSuffix) }

// EncodeID makes the data of an event that has an ID.
func EncodeID(id string) []byte {
	data, _ := json.Marshal(id) // a string never fails
	return data
}

// DecodeID is the inverse of EncodeID.
func DecodeID(data []byte) string {
	var id string
	if err := json.Unmarshal(data, &id); err != nil {
		return string(data)
	}
	return id
}
