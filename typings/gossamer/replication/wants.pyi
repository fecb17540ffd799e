from node.replication.wants import *
