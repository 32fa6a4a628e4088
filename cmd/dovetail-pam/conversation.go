package main

import (
	"unsafe"

	"dovetail/auth/pam/wire"
)

// conversation is struct pam_conv.
type conversation struct {
	function uintptr
	data     uintptr
}

// message is struct pam_message, response struct pam_response.
type message struct {
	style int32
	text  unsafe.Pointer
}

type response struct {
	text unsafe.Pointer
	code int32
}

// Limits of what a module may say: PAM_MAX_NUM_MSG, and a sentence.
const (
	maxMessages = 32
	maxText     = 4096
)

const (
	success           = 0
	bufferError       = 5
	conversationError = 19
)

// talk is what is said during one login.
type talk struct {
	user     string
	password []byte
	words    []wire.Word
}

// answer is the function of the conversation: the password to a prompt that hides what is typed, the user's name to
// one that shows it. Errors and information are kept. The responses are the module's to free, so they come from the
// C library; on an error there are none.
func (l *library) answer(n int32, messages unsafe.Pointer, responses *unsafe.Pointer, _ uintptr) int32 {
	*responses = nil
	if n <= 0 || n > maxMessages || l.talk == nil {
		return conversationError
	}
	all := l.calloc(uintptr(n), unsafe.Sizeof(response{}))
	if all == nil {
		return bufferError
	}
	status := int32(success)
	given := unsafe.Slice((*response)(all), n)
	// Linux-PAM gives an array of pointers.
	for i, m := range unsafe.Slice((**message)(messages), n) {
		said := wire.Word{Style: wire.Style(m.style), Text: text(m.text)}
		switch said.Style {
		case wire.PromptHidden:
			given[i].text = l.copied(l.talk.password)
		case wire.PromptVisible:
			given[i].text = l.copied([]byte(l.talk.user))
		case wire.ErrorMessage, wire.Info:
		default:
			status = conversationError
		}
		l.talk.words = append(l.talk.words, said)
	}
	if status != success {
		l.forget(given)
		l.free(all)
		return status
	}
	*responses = all
	return success
}

// copied gives b as a string of C.
func (l *library) copied(b []byte) unsafe.Pointer {
	p := l.calloc(uintptr(len(b)+1), 1)
	if p != nil {
		copy(unsafe.Slice((*byte)(p), len(b)), b)
	}
	return p
}

func (l *library) forget(given []response) {
	for _, r := range given {
		if r.text != nil {
			clear(unsafe.Slice((*byte)(r.text), length(r.text)))
			l.free(r.text)
		}
	}
}

// text gives a string of C, not more of it than a sentence.
func text(p unsafe.Pointer) string {
	if p == nil {
		return ""
	}
	return string(unsafe.Slice((*byte)(p), min(length(p), maxText)))
}

func length(p unsafe.Pointer) int {
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return n
}
