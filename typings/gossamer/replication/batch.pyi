from node.replication.batch import *
