# Wild cluster bootstrap-t with the null imposed, by full enumeration of sign vectors.
#
#   Rscript tests/reference/wild.R
#
# writes wild/<case>_trial.csv, wild/<case>_benchmark.csv, wild/p_values.csv, wild/statistics.csv and
# wild/versions.txt next to this script. Base R alone. README.md explains the columns.
# Nothing is simplified: for every sign vector a new outcome is made from the restricted fit and its
# residuals, and the unrestricted regression is fitted to it again.

options(stringsAsFactors = FALSE, warn = 2)
RNGkind("Mersenne-Twister", "Inversion", "Rejection")

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
out_dir <- file.path(if (length(script)) dirname(script) else "tests/reference", "wild")
dir.create(out_dir, showWarnings = FALSE, recursive = TRUE)

as_text <- function(x, digits) if (is.numeric(x)) ifelse(is.na(x), "", sprintf(digits, x)) else x
write_text <- function(text, name) {
  connection <- file(file.path(out_dir, name), "wb")
  writeLines(text, connection, sep = "\n")
  close(connection)
}
write_table <- function(data, name, digits = "%.17g") {
  write_text(c(paste(names(data), collapse = ","), do.call(paste, c(lapply(data, as_text, digits), sep = ","))), name)
}

# ---------------------------------------------------------------- data

answer_rows <- function(arm, people, items, chosen) {
  do.call(rbind, lapply(seq_len(people), function(j) {
    data.frame(participant = sprintf("%s-%d", arm, j), item = items[chosen(j)], arm = arm)
  }))
}
with_scores <- function(trial) {
  n <- nrow(trial)
  trial$own_query <- round(runif(n, 0.3, 1), 3)
  trial$conversation <- round(runif(n, 0.2, 0.9), 3)
  trial$decision <- round(runif(n, 0, 0.8), 3)
  trial$own_query[trial$arm == "control"] <- NA
  trial$conversation[trial$arm == "control"] <- NA
  trial
}
runs_of <- function(items, times) {
  data.frame(system = "a1", item = rep(items, times), benchmark = round(runif(sum(times), 0.5, 1), 3))
}

make <- list(
  # 3 control and 3 a1 participants: 6 clusters for an effect.
  participants = function() {
    items <- c("i1", "i2")
    list(trial = with_scores(rbind(
           answer_rows("control", 3, items, function(j) if (j == 2) c(1, 2, 2) else 1:2),
           answer_rows("a1", 3, items, function(j) if (j == 1) c(1, 1, 2) else 1:2))),
         benchmark = runs_of(items, c(1, 1)))
  },
  # 4 a1 participants and 6 benchmark runs, each run a cluster of its own: 10 clusters for the gap.
  runs = function() {
    items <- c("i1", "i2")
    list(trial = with_scores(rbind(
           answer_rows("control", 3, items, function(j) 1:2),
           answer_rows("a1", 4, items, function(j) if (j == 1) c(1, 1, 2) else if (j == 4) 2 else 1:2))),
         benchmark = runs_of(items, c(4, 2)))
  },
  # 10 items as clusters, an uneven mix.
  items = function() {
    items <- sprintf("i%02d", 1:10)
    list(trial = with_scores(rbind(
           answer_rows("control", 12, items, function(j) c(1 + (j - 1) %% 10, 1 + (j + 3) %% 10)),
           answer_rows("a1", 14, items, function(j) c(1 + (j - 1) %% 10, 1 + (j + 4) %% 10, 1 + j %% 3)))),
         benchmark = runs_of(items, c(2, 1, 3, 2, 1, 2, 2, 3, 1, 2)))
  }
)

# ---------------------------------------------------------------- regression

quantities <- list(
  decision = c("a1 conversation" = 1, "a1 decision" = -1),
  gap = c("a1 benchmark" = 1, "a1 decision" = -1),
  realized_effect = c("a1 decision" = 1, "control decision" = -1)
)

long_form <- function(data) {
  trial <- data$trial
  parts <- lapply(c("own_query", "conversation", "decision"), function(stage) {
    keep <- !is.na(trial[[stage]])
    data.frame(moment = paste(trial$arm[keep], stage), item = trial$item[keep],
               cluster = trial$participant[keep], y = trial[[stage]][keep])
  })
  b <- data$benchmark
  rbind(do.call(rbind, parts),
        data.frame(moment = paste(b$system, "benchmark"), item = b$item,
                   cluster = sprintf("run-%d", seq_len(nrow(b))), y = b$benchmark))
}

# Weight of each item in every moment: the mix of the AI arm's answers, equal, or none (plain means).
item_weights <- function(data, choice) {
  mine <- data$trial$item[data$trial$arm == "a1"]
  items <- sort(unique(mine))
  if (choice == "uniform") setNames(rep(1 / length(items), length(items)), items)
  else if (choice == "trial") setNames(as.numeric(table(mine)[items]) / length(mine), items)
}

# Design of one quantity: outcome, location of each row, regression weights, and the quantity's
# coefficients over the locations. Items fixed: locations are moments x items (moments under
# `observed`). Items random: locations are moments, rows weighted to the item weights, and items
# are the clusters.
problem <- function(data, coefficients, choice, items) {
  long <- long_form(data)
  long <- long[long$moment %in% names(coefficients), ]
  pi <- item_weights(data, choice)
  n <- ave(long$y, long$moment, FUN = length)
  cell <- ave(long$y, long$moment, long$item, FUN = length)
  if (items == "random") {
    long$cluster <- long$item
    long$location <- long$moment
    long$w <- if (choice == "observed") 1 else n * pi[long$item] / cell
    a <- coefficients
  } else if (choice == "observed") {
    long$location <- long$moment
    long$w <- 1
    a <- coefficients
  } else {
    long$location <- paste(long$moment, long$item)
    long$w <- 1
    grid <- expand.grid(moment = names(coefficients), item = names(pi))
    a <- setNames(coefficients[as.character(grid$moment)] * pi[as.character(grid$item)],
                  paste(grid$moment, grid$item))
  }
  long$location <- factor(long$location)
  list(y = long$y, w = long$w, X = model.matrix(~ 0 + location, long), cluster = long$cluster,
       a = as.numeric(a[levels(long$location)]))
}

fit <- function(p, y) {
  model <- lm.wfit(p$X, y, p$w)
  bread <- solve(crossprod(p$X, p$w * p$X))
  scores <- rowsum(p$X * (p$w * model$residuals), p$cluster)
  G <- nrow(scores)
  V <- bread %*% crossprod(scores) %*% bread * G / (G - 1)
  list(q = sum(p$a * model$coefficients), se = sqrt(drop(t(p$a) %*% V %*% p$a)), clusters = G)
}

# Weighted least squares under sum(a * mean) = null: means = fixed part + null space of a.
restricted <- function(p, null) {
  a <- p$a
  fixed <- a * null / sum(a^2)
  if (length(a) == 1) {
    fitted <- drop(p$X %*% fixed)
  } else {
    basis <- qr.Q(qr(cbind(a)), complete = TRUE)[, -1, drop = FALSE]
    inner <- lm.wfit(p$X %*% basis, p$y - drop(p$X %*% fixed), p$w)
    means <- fixed + drop(basis %*% inner$coefficients)
    stopifnot(abs(sum(a * means) - null) < 1e-12)
    fitted <- drop(p$X %*% means)
  }
  list(fitted = fitted, residual = p$y - fitted)
}

TIE <- 1e-10
enumerate <- function(p, null) {
  observed <- fit(p, p$y)
  t <- (observed$q - null) / observed$se
  labels <- sort(unique(p$cluster))
  signs <- as.matrix(expand.grid(rep(list(c(-1, 1)), length(labels))))
  base <- restricted(p, null)
  drawn <- apply(signs, 1, function(v) {
    one <- fit(p, base$fitted + v[match(p$cluster, labels)] * base$residual)
    (one$q - null) / one$se
  })
  list(estimate = observed$q, std_error = observed$se, clusters = observed$clusters, t = t, drawn = drawn,
       p = mean(abs(drawn) >= abs(t) * (1 - TIE)))
}

cases <- data.frame(
  case = c("participants", "participants", "participants", "runs", "runs", "items", "items"),
  items = c("fixed", "fixed", "fixed", "fixed", "fixed", "random", "random"),
  item_weights = c("observed", "uniform", "observed", "observed", "trial", "observed", "trial"),
  quantity = c("realized_effect", "realized_effect", "gap", "gap", "gap", "realized_effect", "gap")
)
cases <- rbind(cases, data.frame(case = "items", items = "random", item_weights = "trial", quantity = "decision"))

set.seed(20260522)
data <- list()
for (name in names(make)) {
  made <- make[[name]]()
  write_table(made$trial, paste0(name, "_trial.csv"), "%.15g")
  write_table(made$benchmark, paste0(name, "_benchmark.csv"), "%.15g")
  data[[name]] <- list(trial = read.csv(file.path(out_dir, paste0(name, "_trial.csv"))),
                       benchmark = read.csv(file.path(out_dir, paste0(name, "_benchmark.csv"))))
}

p_values <- statistics <- list()
for (row in seq_len(nrow(cases))) {
  spec <- cases[row, ]
  p <- problem(data[[spec$case]], quantities[[spec$quantity]], spec$item_weights, spec$items)
  for (null in c(0, 0.1, -0.25, 0.5, 3)) {
    one <- enumerate(p, null)
    p_values[[length(p_values) + 1]] <- cbind(spec, data.frame(
      null = null, estimate = one$estimate, std_error = one$std_error, clusters = one$clusters, t = one$t, p_value = one$p))
    # All of up to 64 draws, else 64 order statistics.
    ordered <- sort(abs(one$drawn))
    kept <- unique(round(seq(1, length(ordered), length.out = 64)))
    statistics[[length(statistics) + 1]] <- cbind(spec, data.frame(null = null, rank = kept, abs_t = ordered[kept]),
                                                  row.names = NULL)
  }
}
write_table(do.call(rbind, p_values), "p_values.csv")
write_table(do.call(rbind, statistics), "statistics.csv")

info <- sessionInfo()
write_text(c(info$R.version$version.string, paste("platform", info$platform),
             paste("random numbers", paste(RNGkind(), collapse = ", ")), "base R, no package"), "versions.txt")
