from node.replication.handshake import *
