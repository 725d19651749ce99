"""Files for deployment, made from a checkpoint (extra ``export``)."""
