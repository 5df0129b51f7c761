"""The tables, as numbered migrations: each is run once, in order, and never edited afterwards."""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

    CREATE TABLE networks (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        driver TEXT NOT NULL,
        created TEXT NOT NULL,
        is_builtin INTEGER NOT NULL,
        is_internal INTEGER NOT NULL,
        is_attachable INTEGER NOT NULL,
        has_ipv4 INTEGER NOT NULL,
        has_ipv6 INTEGER NOT NULL,
        options TEXT NOT NULL,          -- JSON object, as given
        labels TEXT NOT NULL,           -- JSON object
        bridge TEXT NOT NULL,           -- device name, '' if the driver has none
        state TEXT NOT NULL             -- 'planned', 'making', 'ready', 'removing'
    );

    CREATE TABLE pools (
        network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        subnet TEXT NOT NULL,
        ip_range TEXT,
        gateway TEXT,
        auxiliary TEXT NOT NULL,        -- JSON object of name to address
        -- No address of the dynamic range below this one is free: 32 hexadecimal digits.
        next_free TEXT NOT NULL,
        PRIMARY KEY (network_id, position)
    ) WITHOUT ROWID;

    CREATE TABLE containers (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,             -- 'run', 'adopted'
        created TEXT NOT NULL,
        spec TEXT NOT NULL,             -- JSON, see netyard.values.spec
        donor_id TEXT REFERENCES containers (id),  -- whose network namespace it shares
        -- 'making', 'created', 'starting', 'running', 'exited', 'removing'
        state TEXT NOT NULL,
        pid INTEGER NOT NULL DEFAULT 0,
        pid_start INTEGER NOT NULL DEFAULT 0,   -- of /proc/PID/stat, to know the process again
        exit_code INTEGER NOT NULL DEFAULT 0,
        started TEXT NOT NULL DEFAULT '',
        finished TEXT NOT NULL DEFAULT '',
        was_loopback_up INTEGER NOT NULL DEFAULT 0   -- adopted: how it was found
    );
    CREATE INDEX containers_donor ON containers (donor_id) WHERE donor_id IS NOT NULL;
    CREATE INDEX containers_unfinished ON containers (state)
        WHERE state IN ('making', 'starting', 'removing');

    CREATE TABLE endpoints (
        id TEXT PRIMARY KEY,
        network_id TEXT NOT NULL REFERENCES networks (id),
        container_id TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        ifname TEXT NOT NULL,
        host_ifname TEXT NOT NULL,
        mac TEXT NOT NULL,
        ip4 TEXT NOT NULL,              -- '' if the network has no IPv4
        ip6 TEXT NOT NULL,
        aliases TEXT NOT NULL,          -- JSON array
        state TEXT NOT NULL,            -- 'down', 'attaching', 'up', 'detaching'
        UNIQUE (network_id, container_id)
    );
    CREATE INDEX endpoints_container ON endpoints (container_id, position);
    CREATE INDEX endpoints_unfinished ON endpoints (state)
        WHERE state IN ('attaching', 'detaching');

    CREATE TABLE leases (
        network_id TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
        address TEXT NOT NULL,          -- family digit and 32 hexadecimal digits, so that it sorts
        endpoint_id TEXT NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
        PRIMARY KEY (network_id, address)
    ) WITHOUT ROWID;
    CREATE INDEX leases_endpoint ON leases (endpoint_id);

    -- Published ports in force: those of running containers, one row a family.
    CREATE TABLE publications (
        family INTEGER NOT NULL,
        protocol TEXT NOT NULL,
        host_port INTEGER NOT NULL,
        host_ip TEXT NOT NULL,          -- '' is every address of the family
        container_id TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
        endpoint_id TEXT NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
        address TEXT NOT NULL,
        container_port INTEGER NOT NULL,
        is_ending INTEGER NOT NULL,     -- on its way out of the firewall
        PRIMARY KEY (family, protocol, host_port, host_ip)
    ) WITHOUT ROWID;
    CREATE INDEX publications_container ON publications (container_id);
    CREATE INDEX publications_endpoint ON publications (endpoint_id);
    """,
    """
    ALTER TABLE networks ADD COLUMN is_config_only INTEGER NOT NULL DEFAULT 0;
    -- The id of the network whose settings it was made from, '' if of none.
    ALTER TABLE networks ADD COLUMN config_from TEXT NOT NULL DEFAULT '';
    ALTER TABLE networks ADD COLUMN ipam_driver TEXT NOT NULL DEFAULT 'default';
    ALTER TABLE networks ADD COLUMN ipam_options TEXT NOT NULL DEFAULT '{}';  -- JSON object
    -- The bridge was there before, and is left when the network goes.
    ALTER TABLE networks ADD COLUMN is_foreign INTEGER NOT NULL DEFAULT 0;

    ALTER TABLE endpoints ADD COLUMN gw_priority INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE endpoints ADD COLUMN link_local TEXT NOT NULL DEFAULT '[]';   -- JSON array
    ALTER TABLE endpoints ADD COLUMN options TEXT NOT NULL DEFAULT '{}';      -- JSON object
    ALTER TABLE endpoints ADD COLUMN links TEXT NOT NULL DEFAULT '[]';  -- JSON: [container, alias]

    -- A routed network opens container ports and translates none, so the container's side is part
    -- of what tells publications apart.
    CREATE TABLE publications_2 (
        family INTEGER NOT NULL,
        protocol TEXT NOT NULL,
        host_port INTEGER NOT NULL,     -- 0 if the network is routed
        host_ip TEXT NOT NULL,
        container_id TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
        endpoint_id TEXT NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
        address TEXT NOT NULL,
        container_port INTEGER NOT NULL,
        is_ending INTEGER NOT NULL,
        access TEXT NOT NULL DEFAULT 'nat',  -- 'nat', 'trusted', 'routed'
        PRIMARY KEY (family, protocol, host_port, host_ip, address, container_port)
    ) WITHOUT ROWID;
    INSERT INTO publications_2 SELECT *, 'nat' FROM publications;
    DROP TABLE publications;
    ALTER TABLE publications_2 RENAME TO publications;
    CREATE INDEX publications_container ON publications (container_id);
    CREATE INDEX publications_endpoint ON publications (endpoint_id);

    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        time_ns INTEGER NOT NULL,
        body TEXT NOT NULL              -- JSON object, as `netyard events` prints it
    );
    """,
    """
    -- What a DHCP server granted beside the address, as JSON; '' without a lease.
    ALTER TABLE endpoints ADD COLUMN lease TEXT NOT NULL DEFAULT '';
    """,
    """
    -- Of networks that span hosts: the VXLAN network identifier, 0 for others; and this host's
    -- address between the hosts.
    ALTER TABLE networks ADD COLUMN vni INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE networks ADD COLUMN underlay TEXT NOT NULL DEFAULT '';
    """,
    """
    -- One port of a container among thousands.
    DROP INDEX publications_container;
    CREATE INDEX publications_inside ON publications (container_id, container_port);
    CREATE INDEX publications_ending ON publications (is_ending) WHERE is_ending;
    """,
    """
    -- So many ports in a row, on both sides: see netyard.state.records.MOST_IN_A_ROW.
    ALTER TABLE publications ADD COLUMN length INTEGER NOT NULL DEFAULT 1;

    -- Nobody has ever had an address above this one; of older pools it is not known.
    ALTER TABLE pools ADD COLUMN highest_given TEXT NOT NULL
        DEFAULT 'ffffffffffffffffffffffffffffffff';
    -- Nobody has ever had its addresses; until it is first up.
    ALTER TABLE endpoints ADD COLUMN is_unheard_of INTEGER NOT NULL DEFAULT 0;
    """,
    """
    -- What is open on routed networks, beside thousands of host ports that lead to the same port.
    CREATE INDEX publications_routed ON publications (container_id, container_port)
        WHERE access = 'routed';
    """,
    """
    -- No container is ever in the state 'making': it is recorded in the transaction that plans it.
    DROP INDEX containers_unfinished;
    CREATE INDEX containers_unfinished ON containers (state)
        WHERE state IN ('starting', 'removing');
    """,
    """
    -- It was the kernel that killed something of it, for want of memory, when it last ran.
    ALTER TABLE containers ADD COLUMN was_oom_killed INTEGER NOT NULL DEFAULT 0;
    """,
    """
    -- What a running container should have and cannot have now; tried again by every command.
    CREATE TABLE pending (
        container_id TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,             -- 'port', 'route'
        subject TEXT NOT NULL,          -- a port as -p takes it, one; 'IPv4', 'IPv6'
        reason TEXT NOT NULL,
        PRIMARY KEY (container_id, kind, subject)
    ) WITHOUT ROWID;
    """,
    """
    -- Which ids of the host its own are, as JSON; '' if they are the same.
    ALTER TABLE containers ADD COLUMN ids TEXT NOT NULL DEFAULT '';
    CREATE INDEX containers_ids ON containers (ids) WHERE ids != '';
    """,
)

VERSION = len(MIGRATIONS)
