from node.replication.sending import *
