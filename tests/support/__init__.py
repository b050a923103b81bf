"""What tests share: waiting, private brokers and databases, a faulty network."""
