from node.replication.bases import *
