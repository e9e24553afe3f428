# Reference numbers for the covariance of the stage means and their contrasts.
#
#   Rscript tests/reference/covariance.R
#
# writes covariance/<case>_trial.csv, covariance/<case>_benchmark.csv, covariance/expected.csv
# and covariance/versions.txt next to this script. README.md explains the columns.
# Every number comes from lm() with clubSandwich or sandwich; each is also recomputed by hand
# here and the script stops where the two differ.

suppressPackageStartupMessages({
  library(clubSandwich)
  library(sandwich)
})
options(stringsAsFactors = FALSE, warn = 2)
RNGkind("Mersenne-Twister", "Inversion", "Rejection")

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
out_dir <- file.path(if (length(script)) dirname(script) else "tests/reference", "covariance")
dir.create(out_dir, showWarnings = FALSE, recursive = TRUE)

trial_stages <- c("own_query", "conversation", "decision")
tolerance <- 1e-12
same <- function(a, b) {
  stopifnot(length(a) == length(b), all(is.finite(a)), all(is.finite(b)),
            all(abs(a - b) <= tolerance * pmax(1, abs(b))))
}
# Degrees of freedom are ratios of traces and are compared relatively.
same_df <- function(a, b) stopifnot(all(is.finite(c(a, b))), all(abs(a / b - 1) <= 1e-9))

# ---------------------------------------------------------------- data

score_of <- function(eta, fractional) {
  if (fractional) round(plogis(eta + rnorm(length(eta), sd = 0.6)), 3)
  else rbinom(length(eta), 1, plogis(eta))
}

draw_case <- function(spec) {
  items <- sprintf("i%02d", seq_len(spec$items))
  difficulty <- setNames(rnorm(spec$items, sd = 0.8), items)
  arm_shift <- c(control = 0, a1 = 0, a2 = -0.4)
  rows <- list()
  number <- 0
  for (arm in names(spec$participants)) {
    for (j in seq_len(spec$participants[[arm]])) {
      number <- number + 1
      answers <- spec$answers[[1 + (j - 1) %% length(spec$answers)]]
      chosen <- sample(items, answers, prob = spec$popularity)
      ability <- rnorm(1, sd = 0.7)
      eta <- difficulty[chosen] + arm_shift[[arm]]
      one <- data.frame(participant = sprintf("p%03d", number), item = chosen, arm = arm,
                        own_query = NA_real_, conversation = NA_real_, decision = NA_real_)
      if (arm == "control") {
        one$decision <- score_of(eta + ability - 0.1, spec$fractional)
      } else {
        shared <- rnorm(answers, sd = 0.8)
        one$own_query <- score_of(eta + 0.5 * ability + shared + 0.9, spec$fractional)
        one$conversation <- score_of(eta + 0.7 * ability + shared + 0.4, spec$fractional)
        one$decision <- score_of(eta + ability + shared - 0.5, spec$fractional)
      }
      rows[[number]] <- one
    }
  }
  trial <- do.call(rbind, rows)
  rownames(trial) <- NULL
  if (spec$missing > 0) {
    ai <- trial$arm != "control"
    trial$own_query[ai & runif(nrow(trial)) < spec$missing] <- NA
    trial$conversation[ai & runif(nrow(trial)) < spec$missing] <- NA
  }
  benchmark <- do.call(rbind, lapply(setdiff(names(spec$participants), "control"), function(system) {
    do.call(rbind, lapply(items, function(item) {
      runs <- sample(4:8, 1)
      data.frame(system = system, item = item, run = seq_len(runs),
                 score = score_of(rep(difficulty[[item]] + arm_shift[[system]] + 1.2, runs),
                                  spec$fractional))
    }))
  }))
  list(trial = trial, benchmark = benchmark)
}

# What a case must satisfy; the draw is repeated, on the same random stream, until it does.
usable <- function(data, spec) {
  trial <- data$trial
  for (arm in names(spec$participants)) {
    for (stage in if (arm == "control") "decision" else trial_stages) {
      part <- trial[trial$arm == arm & !is.na(trial[[stage]]), ]
      count <- table(factor(part$item, sprintf("i%02d", seq_len(spec$items))))
      if (any(count < 2)) return(FALSE)
      within <- tapply(part[[stage]], part$item, var)
      between <- tapply(part[[stage]], part$item, mean)
      # Scores vary inside more than half of the items, and between items.
      if (sum(within > 0) <= spec$items / 2 || var(between) == 0) return(FALSE)
    }
  }
  runs <- table(data$benchmark$system, data$benchmark$item)
  within <- tapply(data$benchmark$score, list(data$benchmark$system, data$benchmark$item), var)
  between <- tapply(data$benchmark$score, list(data$benchmark$system, data$benchmark$item), mean)
  missing <- sum(is.na(trial$own_query[trial$arm != "control"]))
  all(apply(runs, 1, function(x) length(unique(x)) > 1)) &&
    all(rowSums(within > 0) >= spec$items / 2) && all(apply(between, 1, var) > 0) &&
    length(unique(table(trial$item[trial$arm != "control"]))) > 1 &&
    (spec$missing == 0 || missing >= 3)
}

specs <- list(
  few = list(seed = 101, participants = c(control = 6, a1 = 6), items = 3, answers = c(2, 3),
             popularity = NULL, missing = 0, fractional = FALSE),
  tiny = list(seed = 102, participants = c(control = 4, a1 = 4), items = 2, answers = c(2, 2, 1, 2),
              popularity = NULL, missing = 0, fractional = FALSE),
  many = list(seed = 103, participants = c(control = 36, a1 = 44, a2 = 40), items = 10, answers = 2,
              popularity = c(6, 5, 4, 4, 3, 3, 3, 2, 2, 2), missing = 0, fractional = FALSE),
  once = list(seed = 104, participants = c(control = 28, a1 = 32), items = 5, answers = 1,
              popularity = c(5, 4, 3, 3, 2), missing = 0, fractional = FALSE),
  missing = list(seed = 105, participants = c(control = 10, a1 = 12), items = 4, answers = c(2, 3),
                 popularity = NULL, missing = 0.2, fractional = FALSE),
  fractional = list(seed = 106, participants = c(control = 6, a1 = 6), items = 3, answers = c(2, 3),
                    popularity = NULL, missing = 0, fractional = TRUE)
)

# ---------------------------------------------------------------- quantities

# Signed stages of each quantity: benchmark, own_query, conversation and decision of the AI
# arm, control for the decision of the control arm.
quantities <- list(
  theta_benchmark = c(benchmark = 1),
  theta_own_query = c(own_query = 1),
  theta_conversation = c(conversation = 1),
  theta_decision = c(decision = 1),
  theta_control = c(control = 1),
  own_query = c(benchmark = 1, own_query = -1),
  conversation = c(own_query = 1, conversation = -1),
  decision = c(conversation = 1, decision = -1),
  task = c(benchmark = 1, conversation = -1),
  gap = c(benchmark = 1, decision = -1),
  realized_effect = c(decision = 1, control = -1),
  predicted_effect = c(benchmark = 1, control = -1),
  predicted_effect_after_conversation = c(conversation = 1, control = -1)
)

# All scores of a case, one row per answer x stage with a score and one per benchmark run.
stack_case <- function(trial, benchmark) {
  trial$answer <- sprintf("answer%04d", seq_len(nrow(trial)))
  long <- do.call(rbind, lapply(trial_stages, function(stage) {
    keep <- !is.na(trial[[stage]])
    data.frame(stage = stage, arm = trial$arm[keep], item = trial$item[keep],
               participant = trial$participant[keep], answer = trial$answer[keep],
               y = trial[[stage]][keep])
  }))
  long$stage[long$arm == "control"] <- "control"
  run <- paste(benchmark$system, benchmark$item, benchmark$run, sep = "_")
  rbind(long, data.frame(stage = "benchmark", arm = benchmark$system, item = benchmark$item,
                         participant = run, answer = run, y = benchmark$score))
}

# lm on cell indicators; a single cell is the intercept.
cell_lm <- function(data, cell) {
  data$cell <- factor(cell)
  if (nlevels(data$cell) == 1) lm(y ~ 1, data = data) else lm(y ~ 0 + cell, data = data)
}

quadratic <- function(l, V) as.numeric(crossprod(l, as.matrix(V) %*% l))
square_sum <- function(psi, cluster) sum(tapply(psi, cluster, sum)^2)
inverse <- function(x) solve(crossprod(x))

# CR2 or CR3 and the Satterthwaite degrees of freedom of CR2, identity working model, by hand.
by_hand_cr <- function(X, y, cluster, l) {
  M <- inverse(X)
  H <- X %*% M %*% t(X)
  e <- y - H %*% y
  groups <- split(seq_along(y), cluster)
  cr2 <- cr3 <- 0
  Q <- matrix(0, length(y), length(groups))
  for (k in seq_along(groups)) {
    g <- groups[[k]]
    B <- diag(length(g)) - H[g, g]
    s <- eigen((B + t(B)) / 2, symmetric = TRUE)
    stopifnot(all(s$values > 1e-8))
    A <- s$vectors %*% (t(s$vectors) / sqrt(s$values))
    loading <- X[g, , drop = FALSE] %*% M %*% l
    cr2 <- cr2 + sum(loading * (A %*% e[g]))^2
    cr3 <- cr3 + sum(loading * solve(B, e[g]))^2
    Q[, k] <- (diag(length(y)) - H)[, g, drop = FALSE] %*% (A %*% loading)
  }
  omega <- crossprod(Q)
  list(CR2 = cr2, CR3 = cr3, df = sum(diag(omega))^2 / sum(omega^2))
}

satterthwaite <- function(fit, V, l) {
  test <- linear_contrast(fit, vcov = V, contrasts = matrix(l, nrow = 1), test = "Satterthwaite",
                          p_values = TRUE)
  same(test$SE^2, quadratic(l, V))
  test$df
}

# Items fixed, one independent part (trial or benchmark). The data have columns sign (weight of
# the stage x arm in the quantity), pi (item weight; 1 under observed) and cell.
fixed_part <- function(data, observed, is_benchmark) {
  fit <- cell_lm(data, data$cell)
  X <- model.matrix(fit)
  first <- data[match(levels(factor(data$cell)), data$cell), ]
  l <- first$sign * first$pi
  estimate <- sum(l * coef(fit))
  G <- length(unique(data$participant))
  N <- length(unique(data$answer))
  p <- length(unique(if (observed) data$arm else paste(data$arm, data$item)))
  psi <- as.numeric(X %*% inverse(X) %*% l) * (data$y - ave(data$y, data$cell))

  V2 <- vcovCR(fit, cluster = data$participant, type = "CR2")
  V3 <- vcovCR(fit, cluster = data$participant, type = "CR3")
  cr2 <- quadratic(l, V2)
  cr3 <- quadratic(l, V3)
  hand <- by_hand_cr(X, data$y, data$participant, l)
  df2 <- satterthwaite(fit, V2, l)
  same(cr2, hand$CR2)
  same(cr3, hand$CR3)
  same_df(df2, hand$df)

  if (is_benchmark) {
    stopifnot(G == nrow(data), N == nrow(data), p == ncol(X))
    hc1 <- quadratic(l, vcovHC(fit, type = "HC1"))
    same(hc1, sum(psi^2) * N / (N - p))
    same(cr2, quadratic(l, vcovHC(fit, type = "HC2")))
    same(cr3, quadratic(l, vcovHC(fit, type = "HC3")))
    cr1 <- hc1
    cr2 <- quadratic(l, vcovHC(fit, type = "HC2"))
    cr3 <- quadratic(l, vcovHC(fit, type = "HC3"))
  } else {
    hc0 <- vcovCL(fit, cluster = data$answer, type = "HC0", cadjust = FALSE)
    hc1 <- quadratic(l, hc0) * N / (N - p)
    same(hc1, square_sum(psi, data$answer) * N / (N - p))
    cr1 <- quadratic(l, vcovCR(fit, cluster = data$participant, type = "CR1"))
    same(cr1, square_sum(psi, data$participant) * G / (G - 1))
  }
  list(estimate = estimate, V = c(HC1 = hc1, CR1 = cr1, CR2 = cr2, CR3 = cr3),
       df = c(HC1 = NA, CR1 = G - 1, CR2 = df2, CR3 = G - 1), G = G, N = N)
}

# For complete pairs, HC1 of the stacked rows is sandwich's HC1 of the within-answer contrast.
check_paired_hc1 <- function(data, observed, hc1) {
  signed <- tapply(data$sign * data$y, data$answer, sum)
  row <- data[match(names(signed), data$answer), ]
  wide <- data.frame(y = as.numeric(signed))
  cell <- if (observed) row$arm else paste(row$arm, row$item)
  fit <- cell_lm(wide, cell)
  first <- row[match(levels(factor(cell)), cell), ]
  same(hc1, quadratic(first$pi, vcovHC(fit, type = "HC1")))
}

# Items random: weighted arm means, residuals from them, trial and benchmark in one regression.
random_part <- function(data) {
  data$group <- factor(paste(data$stage, data$arm))
  fit <- if (nlevels(data$group) == 1) lm(y ~ 1, data = data, weights = w)
         else lm(y ~ 0 + group, data = data, weights = w)
  first <- data[match(levels(data$group), data$group), ]
  l <- first$sign
  estimate <- sum(l * coef(fit))
  counts <- c(item = length(unique(data$item)), participant = length(unique(data$participant)),
              observation = length(unique(data$answer)))
  pieces <- c(
    item = quadratic(l, vcovCL(fit, cluster = data$item, type = "HC0", cadjust = TRUE)),
    participant = quadratic(l, vcovCL(fit, cluster = data$participant, type = "HC0", cadjust = TRUE)),
    observation = quadratic(l, vcovCL(fit, cluster = data$answer, type = "HC0", cadjust = TRUE)))

  # By hand: the weights add up to one within each stage x arm.
  mean_of <- ave(data$w * data$y, data$group, FUN = sum)
  same(ave(data$w, data$group, FUN = sum), rep(1, nrow(data)))
  psi <- data$sign * data$w * (data$y - mean_of)
  same(estimate, sum(data$sign * data$w * data$y))
  hand <- c(square_sum(psi, data$item), square_sum(psi, data$participant), square_sum(psi, data$answer))
  same(unname(pieces), hand * unname(counts / (counts - 1)))
  # estfun carries the weight once: the rows are w e x, not sqrt(w) e x.
  scores <- estfun(fit)
  same(as.numeric(scores %*% bread(fit) %*% l / nrow(data)), psi)
  list(estimate = estimate, pieces = pieces, counts = counts)
}

welch <- function(Vt, Vb, dft, dfb) (Vt + Vb)^2 / (Vt^2 / dft + Vb^2 / dfb)

# ---------------------------------------------------------------- one case

reference_case <- function(case, trial, benchmark) {
  complete <- !anyNA(trial[trial$arm != "control", trial_stages])
  stacked <- stack_case(trial, benchmark)
  items <- sort(unique(trial$item))
  ai_rows <- trial[trial$arm != "control", ]
  mixes <- list(
    observed = NULL,
    trial = setNames(as.numeric(table(factor(ai_rows$item, items))) / nrow(ai_rows), items),
    uniform = setNames(rep(1 / length(items), length(items)), items))
  ai_arms <- sort(unique(ai_rows$arm))
  targets <- setNames(as.list(ai_arms), ai_arms)
  if (length(ai_arms) > 1) targets$all <- ai_arms
  rows <- list()

  for (weights in names(mixes)) for (target in names(targets)) for (quantity in names(quantities)) {
    observed <- weights == "observed"
    pi <- mixes[[weights]]
    arms <- targets[[target]]
    signs <- quantities[[quantity]]
    data <- stacked[stacked$stage %in% names(signs) &
                      (stacked$stage == "control" | stacked$arm %in% arms), ]
    data$sign <- unname(signs[data$stage]) / ifelse(data$stage == "control", 1, length(arms))
    data$cell <- if (observed) paste(data$stage, data$arm) else paste(data$stage, data$arm, data$item)
    data$pi <- if (observed) 1 else unname(pi[data$item])
    data$w <- data$pi / ave(data$y, data$cell, FUN = length)

    # The plain answer: signed sums of item-weighted means.
    plain <- 0
    for (stage in names(signs)) {
      stage_arms <- if (stage == "control") "control" else arms
      for (arm in stage_arms) {
        part <- stacked[stacked$stage == stage & stacked$arm == arm, ]
        value <- if (observed) mean(part$y) else sum(pi * tapply(part$y, part$item, mean)[items])
        plain <- plain + signs[[stage]] * value / length(stage_arms)
      }
    }

    in_benchmark <- data$stage == "benchmark"
    part_t <- if (any(!in_benchmark)) fixed_part(data[!in_benchmark, ], observed, FALSE)
    part_b <- if (any(in_benchmark)) fixed_part(data[in_benchmark, ], observed, TRUE)
    if (complete && !is.null(part_t)) {
      check_paired_hc1(data[!in_benchmark, ], observed, part_t$V[["HC1"]])
    }
    add <- function(method, estimate, variance, df, clusters, n) {
      same(estimate, plain)
      rows[[length(rows) + 1]] <<- data.frame(
        case = case, item_weights = weights, arm = target, quantity = quantity, method = method,
        estimate = estimate, variance = variance, df = df, clusters = clusters, n = n)
    }
    for (method in c("HC1", "CR1", "CR2", "CR3")) {
      if (is.null(part_b) || is.null(part_t)) {
        part <- if (is.null(part_b)) part_t else part_b
        add(method, part$estimate, part$V[[method]], part$df[[method]], part$G, part$N)
      } else {
        Vt <- part_t$V[[method]]
        Vb <- part_b$V[[method]]
        add(method, part_t$estimate + part_b$estimate, Vt + Vb,
            welch(Vt, Vb, part_t$df[[method]], part_b$df[[method]]),
            part_t$G + part_b$G, part_t$N + part_b$N)
      }
    }
    random <- random_part(data)
    S <- random$counts[["item"]]
    n <- random$counts[["observation"]]
    two_way <- random$pieces[["item"]] + random$pieces[["participant"]] - random$pieces[["observation"]]
    add("item", random$estimate, random$pieces[["item"]], S - 1, S, n)
    add("cluster2", random$estimate, two_way, S - 1, S, n)
    for (piece in names(random$pieces)) {
      add(paste0("cluster2_", piece), random$estimate, random$pieces[[piece]], NA,
          random$counts[[piece]], n)
    }
  }
  do.call(rbind, rows)
}

# ---------------------------------------------------------------- run

write_text <- function(lines, name) {
  connection <- file(file.path(out_dir, name), open = "wb")
  writeLines(lines, connection, sep = "\n")
  close(connection)
}
as_text <- function(x) {
  if (!is.numeric(x)) return(x)
  ifelse(is.na(x), "", sprintf("%.17g", x))
}
write_table <- function(data, name, digits = NULL) {
  text <- as.data.frame(lapply(data, if (is.null(digits)) as_text else function(x) {
    if (is.numeric(x)) ifelse(is.na(x), "", format(x, digits = digits, trim = TRUE, drop0trailing = TRUE))
    else x
  }))
  write_text(c(paste(names(data), collapse = ","), do.call(paste, c(text, sep = ","))), name)
}

expected <- list()
for (case in names(specs)) {
  spec <- specs[[case]]
  set.seed(spec$seed)
  repeat {
    data <- draw_case(spec)
    if (usable(data, spec)) break
  }
  write_table(data$trial, paste0(case, "_trial.csv"), digits = 3)
  write_table(data$benchmark, paste0(case, "_benchmark.csv"), digits = 3)
  # The expected numbers come from the files as written.
  trial <- read.csv(file.path(out_dir, paste0(case, "_trial.csv")))
  benchmark <- read.csv(file.path(out_dir, paste0(case, "_benchmark.csv")))
  stopifnot(isTRUE(all.equal(trial, data$trial, check.attributes = FALSE, tolerance = 1e-15)),
            isTRUE(all.equal(benchmark$score, as.numeric(data$benchmark$score), tolerance = 1e-15)))
  expected[[case]] <- reference_case(case, trial, benchmark)
}
expected <- do.call(rbind, expected)
no_df <- expected$method == "HC1" | grepl("^cluster2_", expected$method)
stopifnot(all(is.finite(expected$estimate)), all(is.finite(expected$variance)),
          all(is.finite(expected$df[!no_df])), all(is.na(expected$df[no_df])),
          # Only the difference that makes up cluster2 may be zero or below.
          all(expected$variance[expected$method != "cluster2"] > 0))
write_table(expected, "expected.csv")

info <- sessionInfo()
packages <- c(info$otherPkgs, info$loadedOnly)
versions <- sort(vapply(packages, function(x) paste(x$Package, x$Version), ""))
write_text(c(info$R.version$version.string,
             paste("platform", info$platform),
             paste("random numbers", paste(RNGkind(), collapse = ", ")),
             unname(versions)), "versions.txt")
