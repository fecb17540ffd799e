from node.replication.messages import *
