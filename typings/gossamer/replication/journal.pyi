from node.replication.journal import *
