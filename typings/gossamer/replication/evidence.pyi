from node.replication.evidence import *
