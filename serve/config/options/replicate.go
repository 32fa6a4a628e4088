package options

import "time"

// Replication is how two servers are kept alike; 2.4 has no words for it.
type Replication struct {
	ReplicationDsyncParameters  string        `set:"replication_dsync_parameters" v24:"-"`   // arguments of each synchronisation; default -d -N -l 30 -U
	ReplicationFullSyncInterval time.Duration `set:"replication_full_sync_interval" v24:"-"` // period of full synchronisations; default 1 days
	ReplicationMaxConns         uint32        `set:"replication_max_conns" v24:"-"`          // parallel synchronisations; default 10
	ReplicatorHost              string        `set:"replicator_host" v24:"-"`                // replicator socket or host; default replicator
	ReplicatorPort              uint16        `set:"replicator_port" v24:"-"`                // replicator port
}
