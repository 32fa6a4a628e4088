// Package imapwire is the grammar of IMAP on the wire: commands as Go values, answers as bytes. It knows no mailbox.
//
// A Decoder reads commands (RFC 3501, RFC 9051 and the extensions below) from a stream; each has a type of its own, in
// which everything has been checked that can be without a mailbox. Literals are held in memory within a limit, but those
// of APPEND are read as a stream. An Encoder collects answers in one buffer and writes them when it is full or the
// server waits for the next command.
//
// Extensions: RFC 2087 to 9394 as far as their commands are here: LITERAL+ and LITERAL- (7888), ID (2971), ENABLE (5161),
// SASL-IR (4959), SORT and THREAD (5256), SORT=DISPLAY (5957), ESEARCH (4731), SEARCHRES (5182), CONTEXT (5267), WITHIN
// (5032), CONDSTORE and QRESYNC (7162), LIST-EXTENDED (5258), LIST-STATUS (5819), SPECIAL-USE (6154), MULTIAPPEND (3502),
// CATENATE and URL-PARTIAL (4469, 5550), BINARY (3516), MOVE (6851), UIDPLUS (4315), NOTIFY (5465), PREVIEW (8970),
// SAVEDATE (8514), STATUS=SIZE (8438), COMPRESS (4978), UNSELECT (3691), NAMESPACE (2342).
//
// # Bad input
//
// A SyntaxError says what is wrong with a command, in words that begin as Dovecot's do. The rest of the command is passed
// over with its literals before the next one is read, so that bytes of a message are never taken for a command: what a
// client has announced as "{5+}" is skipped whatever the command is, and what it would have sent after "{5}" is not,
// because it was never asked for. Every other error ends the connection.
//
// # Names
//
// Mailbox names, flags, header fields and search strings are given as the bytes that came; decoding modified UTF-7
// and charsets is for who knows what was enabled.
package imapwire
