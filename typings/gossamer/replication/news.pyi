from node.replication.news import *
