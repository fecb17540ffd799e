from node.replication.receiving import *
