// Package mbox reads and writes mailboxes that are files of messages one after the other.
package mbox
