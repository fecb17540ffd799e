from node.web.site import *
