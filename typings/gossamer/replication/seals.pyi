from node.replication.seals import *
